// Why: no payload and no credential may ever come out where people look: logs at level debug, metrics, statuses, events, objects, the
// answers of the CLI. Everything is planted with words of its own, the platform is used and broken in every way we know, and then all
// of what it said is searched for each of them in every form.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { generateKeyPair, SignJWT } from "jose";
import { nexus } from "../../cli/dev-process.ts";
import { ensurePackages } from "../../support/apt.ts";
import { unavailableTier } from "../../support/cluster/tiers.ts";
import { eventually } from "../../support/eventually.ts";
import { Listener } from "../../support/listener.ts";
import type { LogLine } from "../../support/log-lines.ts";
import { type HostKubelet, hostKubelet } from "../../support/monitoring/host-kubelet.ts";
import { type OperatorProcess, type Stage, startStage } from "../../support/operator.ts";
import { Planted } from "../../support/planted.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { type RedisServer, startRedis } from "../../support/redis/server.ts";
import { template, tenant } from "../../support/resources.ts";
import { SseClient } from "../../support/sse-client.ts";

setDefaultTimeout(180_000);
const reason = (await unavailableTier("control-plane")) ?? (await ensurePackages(["redis-server", "postgresql-15"]));
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const NS = "vault";
const planted = new Planted();
const stack = new AsyncDisposableStack();
/** Of pods that are gone, too. */
const logs: LogLine[][] = [];
let stage: Stage;
let operator: OperatorProcess;
let redis: RedisServer;
let postgres: PostgresServer;
let kubelet: HostKubelet;
let keys: { readonly generated: string; readonly own: string; readonly platform: string };
let tokenOf: (user: string) => Promise<string>;

const at = (index: number) => {
  const pod = [...kubelet.pods.values()][index];
  if (!pod) throw new Error(`there is no pod ${index}`);
  return pod;
};

if (reason === undefined) {
  beforeAll(async () => {
    stage = stack.use(await startStage());
    const password = planted.word("the password of Redis");
    redis = stack.use(await startRedis({ settings: [`requirepass ${password}`] }));
    postgres = stack.use(await startPostgres());
    planted.add("the password of PostgreSQL", new URL(postgres.url).password);
    operator = stack.use(await stage.process({ "--log-level": "debug", "--scaling-seconds": "1" }));
    const signing = planted.word("the key of tokens");
    tokenOf = async (user) => {
      const claims = new SignJWT({ tenant_id: "acme", channels: ["talk.*"] }).setProtectedHeader({ alg: "HS256" }).setSubject(user);
      const token = await claims.setExpirationTime("1h").sign(new TextEncoder().encode(signing));
      planted.add(`a token of ${user}`, token);
      return planted.add(`the signature of ${user}'s token`, token.split(".")[2] ?? "") && token;
    };
    const secret = (name: string, stringData: object) => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace: NS },
      stringData,
    });
    const [own, platform] = [planted.word("an API key of the user's"), planted.word("a platform key")];
    await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NS } });
    await stage.plane.apply([
      secret("tokens", { key: signing }),
      secret("redis", { password }),
      secret("postgres", { url: postgres.url }),
      secret("own-key", { key: own }),
      secret("platform", { key: platform }),
      {
        ...{ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", metadata: { name: "live", namespace: NS } },
        spec: {
          redis: { mode: "External", external: { addresses: [redis.address], passwordSecretRef: { name: "redis" } } },
          storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "postgres" } } },
          limits: { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 },
          delivery: { drainSeconds: 5 },
          replicas: 2,
          platformKeys: [{ name: "root", secretRef: { name: "platform" } }],
          channels: [{ match: "talk.*", history: { size: 10, ttlSeconds: 60 }, publish: "Claim" }],
        },
      },
      tenant(NS, "acme", {
        auth: {
          issuers: [
            { name: "tests", algorithms: ["HS256"], secretRef: { name: "tokens" } },
            // Nobody answers there: the failure is logged, the address with its key must not be.
            {
              name: "away",
              issuer: "https://id.invalid",
              algorithms: ["RS256"],
              jwksURL: `https://id.invalid/keys?api_key=${encodeURIComponent(planted.word("a key in the jwksURL"))}`,
            },
          ],
          apiKeys: [
            { name: "backend", scopes: ["publish", "read", "admin"] },
            { name: "own", scopes: ["publish"], secretRef: { name: "own-key" } },
          ],
        },
      }),
      template(NS, "hello", {
        payload: { text: `${planted.word("the payload of a Template")} {{name}}` },
        variables: [{ name: "name", type: "string", required: true, default: planted.word("the default of a variable") }],
      }),
    ]);
    kubelet = stack.use(
      hostKubelet(stage, NS, "live", { env: { NEXUS_LOG_LEVEL: "debug", NEXUS_REDIS_COMMAND_TIMEOUT_MILLISECONDS: "500" } }),
    );
    await kubelet.ready(2);
    await stage.until("template/hello", NS, { type: "Ready", status: "True" }, 60_000);
    const value = async (name: string, key: string) =>
      Buffer.from((await stage.get(`secret/${name}`, NS))?.data?.[key] ?? "", "base64").toString();
    const generated = planted.add("a generated API key", await value("acme-apikey-backend", "key"));
    for (const line of (await value("live-admin-token", "token")).trim().split("\n")) planted.add("the admin token", line);
    for (const name of ["live-admin-ca", "live-admin-tls"])
      planted.add(`the key of ${name}`, (await value(name, "tls.key")).split("\n")[1] ?? "");
    keys = { generated, own, platform };
    logs.push(...[...kubelet.pods.values()].map(({ lines }) => lines as LogLine[])); // grows as long as the pod lives
  }, 300_000);
  afterAll(() => stack.disposeAsync());
}

type Asked = {
  readonly key?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text?: string;
};

/** Asks either pod; what is answered is of no interest here. */
let turn = 0;
async function ask(
  path: string,
  body: unknown,
  { key = keys.generated, method = "POST", headers = {}, text }: Asked = {},
): Promise<number> {
  const all = { "content-type": "application/json", ...(key === "" ? {} : { "x-api-key": key }), ...headers };
  const content = method === "GET" ? {} : { body: text ?? JSON.stringify(body) };
  const answer = await fetch(`${at(turn++ % kubelet.pods.size).url}${path}`, {
    method,
    headers: all,
    ...content,
    signal: AbortSignal.timeout(10_000),
  });
  await answer.body?.cancel();
  return answer.status;
}
/** A socket in our dialect. */
const socket = (index: number, token: string): Promise<Listener> =>
  Listener.open(`${at(index).url.replace("http", "ws")}/ws?token=${token}`, ["nexus.v1.json"]);
const send = "/api/v1/notifications/send";
const event = (place: string) => ({
  event_type: "test",
  payload: {
    text: planted.word(place),
    url: `https://hook:${planted.word(`the password in ${place}`)}@hook.example/x?key=${planted.word(`the key in ${place}`)}`,
  },
});

test.skipIf(reason !== undefined)("used as it is meant to be", async () => {
  await using ann = await socket(0, await tokenOf("ann"));
  await ann.next("connected");
  ann.send({ type: "Subscribe", payload: { channels: ["talk.a"] } });
  ann.send({ type: "Publish", payload: { channel: "talk.a", ...event("a frame's payload") } });
  ann.send({ type: "Refresh", payload: { token: await tokenOf("ann") } });
  const ticket = await fetch(`${at(0).url}/api/v1/tickets`, {
    method: "POST",
    headers: { authorization: `Bearer ${await tokenOf("ben")}` },
  });
  expect(ticket.status).toBeLessThan(300);
  const told = (await ticket.json()) as { readonly ticket: string }; // docs/reference/rest.md
  await using ben = await SseClient.connect(`${at(1).url}/sse?ticket=${planted.add("a ticket", told.ticket)}&channels=talk.a`);
  expect(ben.status).toBe(200);
  expect(
    await ask(
      send,
      { target_user_id: "ann", ...event("a payload for a user") },
      { headers: { "idempotency-key": planted.word("an idempotency key") } },
    ),
  ).toBe(200);
  expect(await ask(send, { target_user_id: "ben", ...event("a payload by the user's key") }, { key: keys.own })).toBe(200);
  expect(
    await ask(
      send,
      { target_user_id: "away", ...event("a payload for an inbox") },
      { key: keys.platform, headers: { "x-tenant-id": "acme" } },
    ),
  ).toBe(200);
  expect(await ask("/api/v1/notifications/channel", { channel: "talk.a", ...event("a payload for a channel") })).toBe(200);
  expect(await ask("/api/v1/notifications/broadcast", event("a payload for all"))).toBe(200);
  expect(await ask(send, { target_user_id: "ann", template_id: "hello", variables: { name: planted.word("a variable") } })).toBe(200);
  const kept = { id: "kept", event_type: "test", payload_template: { text: `${planted.word("a template of REST")} {{name}}` } };
  expect(await ask("/api/v1/templates", kept)).toBe(201);
  const body = (place: string) => JSON.stringify({ type: "user", target: "ann", tenant_id: "acme", event: event(place) });
  const cli = async (...args: string[]) => {
    const child = Bun.spawn(["redis-cli", "-h", redis.host, "-p", String(redis.port), ...args], {
      env: { ...process.env, REDISCLI_AUTH: password() },
      stdout: "ignore",
      stderr: "ignore",
    });
    expect(await child.exited).toBe(0);
  };
  await cli("PUBLISH", "notification:user:ann", body("a trigger by PUBLISH"));
  await cli("XADD", "nexus:triggers", "*", "body", body("a trigger by XADD"));
  await cli("PUBLISH", "notification:user:ann", `{"type": "user", "${planted.word("a broken trigger")}`);
  await cli(
    "XADD",
    "nexus:triggers",
    "*",
    "body",
    JSON.stringify({ type: planted.word("a trigger of no type"), event: event("a refused trigger") }),
  );
  for (let count = 0; count < 2; count++) await ann.next("notification");
  await said("triggers.refused");
});

/** A server has said it. */
const said = (name: string) =>
  eventually(`a server says ${name}`, () => logs.flat().some((line) => line.event === name), { timeoutMs: 30_000 });

/** It was planted under this name. */
const password = (): string => planted.valueOf("the password of Redis");

test.skipIf(reason !== undefined)("used wrongly: keys, tokens, bodies, frames, templates", async () => {
  const body = { target_user_id: "ann", ...event("a payload with a wrong key") };
  expect(await ask(send, body, { key: planted.word("a wrong API key") })).toBe(401);
  expect(
    await ask("/api/v1/notifications?limit=5", undefined, {
      method: "GET",
      key: "",
      headers: { authorization: `Bearer ${planted.word("a wrong bearer")}` },
    }),
  ).toBeGreaterThanOrEqual(400);
  expect(await ask(`${send}?api_key=${encodeURIComponent(planted.word("a key in the query"))}`, body, { key: "" })).toBe(401);
  expect(
    await ask(send, undefined, { text: `{"target_user_id": "ann", ${planted.word("a body that is no JSON")}` }),
  ).toBeGreaterThanOrEqual(400);
  expect(await ask(send, { target_user_id: { not: planted.word("a body of the wrong shape") }, payload: 1 })).toBe(422);
  await ask(send, { target_user_id: "ann", event_type: "test", payload: { text: `${planted.word("a payload with NUL")}\u0000` } });
  expect(
    await ask(send, { target_user_id: "ann", template_id: "hello", variables: { other: planted.word("a variable nobody asked for") } }),
  ).toBeLessThan(500);
  expect(
    await ask(send, { target_user_id: "ann", template_id: "none", variables: { name: planted.word("a variable of no template") } }),
  ).toBeGreaterThanOrEqual(400);
  await ask("/api/v1/notifications/batch", {
    notifications: [
      { target: { type: "user", value: "ann" }, ...event("a batch") },
      { target: { type: planted.word("a broken item") }, ...event("its payload") },
    ],
  });
  const wrong = planted.word("a wrong token");
  await expect(socket(0, encodeURIComponent(wrong))).rejects.toThrow();
  const unsigned = `${(await tokenOf("eve")).split(".").slice(0, 2).join(".")}.${Buffer.from(planted.word("a forged signature")).toString("base64url")}`;
  await expect(socket(1, unsigned)).rejects.toThrow();
  const { privateKey } = await generateKeyPair("RS256");
  const claims = new SignJWT({ tenant_id: "acme" }).setProtectedHeader({ alg: "RS256", kid: planted.word("a key id") });
  const away = await claims.setIssuer("https://id.invalid").setSubject("x").setExpirationTime("1h").sign(privateKey);
  planted.add("a token of an issuer that is away", away);
  await using sse = await SseClient.connect(`${at(0).url}/sse?token=${away}`);
  expect(sse.status).toBeGreaterThanOrEqual(400);
  await said("jwks.failed");
  await using cyd = await socket(0, await tokenOf("cyd"));
  await cyd.next("connected");
  cyd.send({ type: planted.word("a frame of no type"), payload: {} });
  cyd.send(`{"type": "Subscribe", ${planted.word("a frame that is no JSON")}`);
  await using dan = await socket(1, await tokenOf("dan"));
  await dan.next("connected");
  dan.send({ type: "Refresh", payload: { token: planted.word("a wrong token in a frame") } });
  dan.send({ type: "Publish", payload: { channel: "forbidden", ...event("a frame that is refused") } });
  await dan.next("error");
  await stage.plane.apply([
    template(NS, "broken", { engine: "Liquid", payload: { text: `{% if %} ${planted.word("a Template that does not compile")}` } }),
    template(NS, "failing", {
      engine: "Liquid",
      payload: { text: `{% for i in (1..1000000) %}{{ name }}{% endfor %} ${planted.word("a Template that fails")}` },
      variables: [{ name: "name", type: "string" }],
    }),
  ]);
  await stage.until("template/broken", NS, { type: "Ready", status: "False" }, 60_000);
  await stage.until("template/failing", NS, { type: "Ready", status: "True" }, 60_000);
  expect(
    await ask(send, {
      target_user_id: "ann",
      template_id: "failing",
      variables: { name: planted.word("a variable of a Template that fails") },
    }),
  ).toBeGreaterThanOrEqual(400);
});

test.skipIf(reason !== undefined)("while brokers are gone, frozen, or refuse", async () => {
  const tries = (place: string, status: number) =>
    eventually(`${place}: ${status}`, async () => (await ask(send, { target_user_id: "away", ...event(place) })) === status, {
      timeoutMs: 30_000,
      intervalMs: 200,
    });
  await redis.kill();
  await tries("a payload while Redis is gone", 503);
  await Promise.all(["redis.disconnected", "http.broker_unavailable"].map(said));
  await redis.restart();
  await tries("a payload after Redis came back", 200);
  redis.freeze();
  await tries("a payload while Redis is frozen", 503);
  redis.resume();
  await tries("a payload after Redis thawed", 200);
  await postgres.kill();
  await tries("a payload while PostgreSQL is gone", 503);
  await said("postgres.away");
  await postgres.start();
  await tries("a payload after PostgreSQL came back", 200);
  // Credentials that are refused: an operator's mistake, and mended.
  const put = (name: string, key: string, value: string) =>
    stage.plane.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace: NS, labels: { "nexus.dev/watch": "true" } },
      stringData: { [key]: value },
    });
  await put("redis", "password", planted.word("a wrong password of Redis"));
  const told = () => logs.flat().filter(({ event: name }) => name === "redis.credentials_changed" || name === "redis.waiting").length;
  await eventually("the servers heard of it", () => told() > 0, { timeoutMs: 60_000, intervalMs: 200 });
  await redis.kill();
  await redis.restart();
  await tries("a payload with a wrong password", 503);
  await put("redis", "password", password());
  await tries("a payload with the right one again", 200);
  await at(0).kill();
});

test.skipIf(reason !== undefined)("nothing of it came out", async () => {
  expect(planted.places.length).toBeGreaterThan(50);
  const all: Record<string, string> = {
    "a server's log": JSON.stringify(logs),
    "the operator's log": JSON.stringify(operator.log()),
    "a server's metrics": await (await fetch(`http://${at(1).ip}:9090/metrics`)).text(),
    "a server's health": await (await fetch(`${at(1).url}/health`)).text(),
    events: await stage.kubectl("get", "events", "-A", "-o", "json"),
    children: await stage.kubectl(
      "get",
      "deployments,replicasets,pods,services,configmaps,networkpolicies,poddisruptionbudgets,leases",
      "-A",
      "-o",
      "json",
    ),
  };
  for (const path of ["/stats", "/api/v1/stats", "/api/v1/cluster/status"])
    all[path] = await (await fetch(`${at(1).url}${path}`, { headers: { "x-api-key": keys.generated } })).text();
  type Item = { readonly status?: unknown };
  const objects = JSON.parse(await stage.kubectl("get", "nexus", "-A", "-o", "json")) as { readonly items: readonly Item[] };
  expect(objects.items.length).toBeGreaterThan(4);
  all.statuses = JSON.stringify(objects.items.map(({ status }) => status));
  const env = { KUBECONFIG: stage.plane.adminKubeconfig };
  for (const args of [
    ["status", "-A"],
    ["explain", "template/broken", "-n", NS],
    ["explain", "tenant/acme", "-n", NS],
    ["doctor", "-n", NS],
  ]) {
    const { out, err } = await nexus(args, env);
    all[`nexus ${args[0]}`] = out + err;
  }
  const file = join(stage.plane.directory, "vault.tar.gz");
  expect((await nexus(["support-bundle", "-n", NS, "-o", file], env)).code).toBe(0);
  const bundle = Buffer.from(Bun.gunzipSync(await Bun.file(file).bytes())).toString("latin1");
  // Templates are in it as they are, and it says so.
  const template = planted.places.filter((place) => place.includes("Template") && !place.startsWith("a variable"));
  const leaks = Object.entries(all).flatMap(([where, text]) => planted.leaksIn(where, text));
  expect([...leaks, ...planted.leaksIn("the support bundle", bundle, [...template, "the default of a variable"])]).toEqual([]);
  expect(planted.leaksIn("the bundle", bundle)).toContain("the payload of a Template in the bundle"); // the search finds what is there
  expect(new Set(logs.flat().map(({ level }) => level))).toContain("debug");
});
