// Why: an Idempotency-Key on a publish is a promise to backends that retry: once, and the same answer. It must hold for every
// kind of publish, whichever targets the other body names, on every engine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BundleEntry } from "@nexus/protocol/bundle.ts";
import { apiKey, clusterEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { expectProblem, type Rest, restOf } from "../../support/rest.ts";

const ENTRIES: readonly BundleEntry[] = [
  clusterEntry({ limits: { requestsPerSecond: 0 } }),
  tenantEntry("acme", { api_keys: [apiKey("backend", "key")] }),
  tenantEntry("other", { api_keys: [apiKey("backend", "key-of-other")] }),
];
const ROOT = "/api/v1/notifications";
const content = { event_type: "greeting", payload: { text: "hi" } };

const ask = (rest: Rest, operation: string, { body, key, as = "key" }: { body: object; key: string; as?: string }) =>
  rest("POST", `${ROOT}/${operation}`, { key: as, body, headers: { "idempotency-key": key }, shape: `${ROOT}/${operation}` });

const cases: readonly (readonly [string, object, object])[] = [
  ["send", { target_user_id: "ada", ...content }, { target_user_id: "bob", ...content }],
  ["channel", { channel: "news", ...content }, { channel: "sports", ...content }],
  ["broadcast", content, { ...content, payload: 2 }],
  ["send-to-users", { target_user_ids: ["ada", "bob"], ...content }, { target_user_ids: ["eve"], ...content }],
  ["send-to-users", { target_user_ids: [], ...content }, { target_user_ids: ["eve"], ...content }],
  ["channels", { channels: ["news", "sports"], ...content }, { channels: ["news"], ...content }],
  [
    "batch",
    {
      notifications: [
        { target: { type: "users", value: ["ada", "bob"] }, ...content },
        { target: { type: "broadcast" }, template_id: "no" },
      ],
    },
    { notifications: [{ target: { type: "user", value: "eve" }, ...content }] },
  ],
];

const ENGINES = ["memory", "sqlite"] as const;

describe.each(ENGINES)("on the %s engine", (engine) => {
  let directory: string;
  let real: RealServer;
  let rest: Rest;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "nexus-keys-"));
    real = await startRealServer({ entries: ENTRIES, env: { NEXUS_ENGINE: engine, NEXUS_SQLITE_FILE: join(directory, "nexus.db") } });
    rest = restOf(real.url, "key");
  });
  afterAll(async () => {
    await real[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  describe.each(cases)("%s %#", (operation, body, otherBody) => {
    const key = `${operation}-${JSON.stringify(body).length}`;

    test("answers the same again and says so; another body is refused, whatever it names", async () => {
      const first = await ask(rest, operation, { body, key });
      expect([first.status, first.headers.get("idempotency-replayed")]).toEqual([200, null]);
      const again = await ask(rest, operation, { body, key });
      expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
      expect(again.body).toEqual(first.body);
      expectProblem(await ask(rest, operation, { body: otherBody, key }), "idempotency_conflict");
      expect((await ask(rest, operation, { body, key })).body).toEqual(first.body);
    });

    test("another key and another tenant are other publishes", async () => {
      for (const other of [{ key: `${key}-2` }, { key, as: "key-of-other" }]) {
        const answer = await ask(rest, operation, { body, ...other });
        expect([answer.status, answer.headers.get("idempotency-replayed")]).toEqual([200, null]);
      }
    });

    test("a malformed key is refused", async () => {
      for (const bad of ["x".repeat(256), "two words"]) expectProblem(await ask(rest, operation, { body, key: bad }), "invalid_header");
    });
  });

  test("a key belongs to one operation of the tenant", async () => {
    await ask(rest, "send", { body: { target_user_id: "ada", ...content }, key: "shared" });
    expectProblem(await ask(rest, "broadcast", { body: content, key: "shared" }), "idempotency_conflict");
  });

  test("what was refused before it was sent leaves the key free", async () => {
    const body = { target_user_id: "ada", template_id: "later" };
    expectProblem(await ask(rest, "send", { body, key: "early" }), "unknown_template");
    expect((await ask(rest, "send", { body: { target_user_id: "ada", ...content }, key: "early" })).status).toBe(200);
  });

  test("nothing is sent twice, nor by a request that was refused", async () => {
    const sent = [
      { target: { type: "user", value: "zoe" }, ...content },
      { target: { type: "users", value: ["zoe", "yan"] }, ...content },
    ];
    for (let i = 0; i < 3; i++) await ask(rest, "batch", { body: { notifications: sent }, key: "thrice" });
    expectProblem(await ask(rest, "batch", { body: { notifications: sent.slice(1) }, key: "thrice" }), "idempotency_conflict");
    expectProblem(
      await ask(rest, "send-to-users", { body: { target_user_ids: ["xia", "zoe"], ...content }, key: "thrice" }),
      "idempotency_conflict",
    );
    const kept = async (user: string) => ((await rest("GET", `/api/v1/users/${user}/inbox`)).body.entries as unknown[]).length; // a list, says the document
    expect([await kept("zoe"), await kept("yan"), await kept("xia")]).toEqual([2, 1, 0]);
  });

  test("who asks again while it still runs is told to wait, and nobody gets another answer", async () => {
    const body = { target_user_ids: Array.from({ length: 10_000 }, (_, i) => `u${i}`), ...content };
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(rest, "send-to-users", { body, key: "slow" })));
    const waiting = answers.filter(({ status }) => status === 409);
    expect(waiting.length).toBeGreaterThan(0);
    for (const answer of waiting) expectProblem(answer, "idempotency_in_flight");
    const given = [...answers.filter(({ status }) => status === 200), await ask(rest, "send-to-users", { body, key: "slow" })];
    expect(waiting.length + given.length).toBe(answers.length + 1);
    expect(new Set(given.map((answer) => answer.body.notification_id)).size).toBe(1);
  }, 30_000);
});
