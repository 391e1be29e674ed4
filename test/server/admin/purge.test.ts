// Why: a deletion as the operator asks for it and hears of it: a tombstone over the admin port, sessions ended, data gone,
// told in the status until the tombstone is taken away.
import { expect, test } from "bun:test";
import { ADMIN_PATHS, AdminStatus, type PushRequest } from "@nexus/protocol/admin.ts";
import { type BundleEntry, makeBuckets, sealEntry } from "@nexus/protocol/bundle.ts";
import { Value } from "@sinclair/typebox/value";
import { apiKey, clusterEntry, digestOfAll, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { ADMIN_NAME, ADMIN_TOKEN, adminFiles, startRealServer } from "../../support/real-server.ts";
import { TOKEN_SECRET, token } from "../../support/rest.ts";
import { WsClient } from "../../support/ws-client.ts";

const KEY = "nxk_a-key-of-acme-for-the-purge";
const acme = tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)], api_keys: [apiKey("backend", KEY)], deletion_policy: "Delete" });
const gone = sealEntry({
  ...{ kind: "tombstone" as const, id: "acme", uid: "uid-acme", generation: 1 },
  spec: { deleted_at: "2026-01-01T00:00:00Z" },
});

async function pod() {
  const files = await adminFiles();
  const real = await startRealServer({ env: files.env });
  let sequence = 0;
  const ask = async (path: string, body?: unknown) => {
    const answer = await fetch(`https://127.0.0.1:${real.server.adminPort}${path}`, {
      ...{ method: body === undefined ? "GET" : "POST", ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      tls: { ca: files.ca, serverName: ADMIN_NAME },
      keepalive: false,
    });
    return (await answer.json()) as Record<string, unknown>; // every answer is an object
  };
  return {
    real,
    status: () => ask(ADMIN_PATHS.status),
    /** Makes these entries the whole bundle. */
    push(entries: readonly BundleEntry[]) {
      const all = makeBuckets(entries).map(({ index, digest, entries: own }) => {
        return { index, from: "0".repeat(64), to: digest, full: true, entries: own, removed: [] };
      });
      const request: PushRequest = { format: 1, term: "5", sequence: ++sequence, digest: digestOfAll(entries), buckets: all };
      return ask(ADMIN_PATHS.bundle, request);
    },
    async [Symbol.asyncDispose]() {
      await real[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    },
  };
}

test("a tombstone ends the sessions, purges the data, and is told until it is taken away", async () => {
  await using node = await pod();
  const { url } = node.real;
  await node.push([clusterEntry(), acme]);
  const ask = (path: string, body?: unknown) =>
    fetch(`${url}${path}`, {
      ...{ method: body === undefined ? "GET" : "POST", headers: { "x-api-key": KEY, "content-type": "application/json" } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const notification = { target_user_id: "jane", event_type: "order.paid", payload: { n: 1 } };
  expect((await ask("/api/v1/notifications/send", notification)).status).toBe(200);
  const listener = await WsClient.connect(`${url.replace("http", "ws")}/ws?token=${await token("bob")}`, { protocols: ["nexus.v1.json"] });

  expect(listener.answer.status).toBe(101);

  expect(await node.push([clusterEntry(), gone])).toMatchObject({ rejected: [] });
  expect(await eventually("the session is ended", () => listener.closed)).toMatchObject({ code: 4504 });
  expect((await ask("/api/v1/notifications/send", notification)).status).toBe(401);
  expect((await node.status()).purged).toBeUndefined();
  const status = await eventually(
    "the purge is told",
    async () => {
      const now = await node.status();
      return now.purged === undefined ? undefined : now;
    },
    { timeoutMs: 20_000 },
  );
  expect(status.purged).toEqual([{ tenant_id: "acme", uid: "uid-acme" }]);
  expect(Value.Check(AdminStatus, status)).toBe(true);

  await node.push([clusterEntry(), acme]);
  expect((await node.status()).purged).toBeUndefined();
  const inbox = await ask("/api/v1/users/jane/inbox");
  expect(inbox.status).toBe(200);
  expect(JSON.stringify(await inbox.json())).not.toContain("order.paid");
}, 30_000);
