// Why: every limit is a promise in both directions: what is within it works, one more is refused with its own code. And all
// of them change while the server runs, by the push an operator makes, without ending a session.
import { expect, test } from "bun:test";
import type { Delivery, Limits, TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { eventually } from "../support/eventually.ts";
import type { RestAnswer } from "../support/rest.ts";
import type { WsClient } from "../support/ws-client.ts";
import { KEY, type Pod, READER, startPod } from "./every/pod.ts";

/** Shows one limit at its edge, and that another value counts from its push on. A text: why it cannot change live. */
type Show = ((pod: Pod) => Promise<void>) | string;
type Table<T> = { readonly [K in keyof Required<T>]: Show };

const SEND = "/api/v1/notifications/send";
const BATCH = "/api/v1/notifications/batch";
const TEMPLATES = "/api/v1/templates";
const PING = { type: "Ping" };
const statusOf = ({ status, body }: RestAnswer) => [status, body.code];
const toAda = (payload: unknown = 1) => ({ target_user_id: "ada", event_type: "e", payload });

/** A send whose body has exactly `bytes` bytes. */
function sized(bytes: number, bare: object = toAda("")): string {
  const text = JSON.stringify({ ...bare, pad: "" });
  return JSON.stringify({ ...bare, pad: "x".repeat(bytes - text.length) });
}

async function posted(pod: Pod, path: string, body: string, key = KEY): Promise<readonly unknown[]> {
  const headers = { "x-api-key": key, "content-type": "application/json" };
  const answer = await fetch(`${pod.real.url}${path}`, { method: "POST", headers, body });
  return [answer.status, ((await answer.json()) as { code?: string }).code]; // a result or a problem, both objects
}

/** The first answer that is no 200: on a machine that stalls, a bucket may have filled up a little meanwhile. */
async function firstOver(ask: () => Promise<RestAnswer>): Promise<RestAnswer> {
  for (let i = 0; i < 20; i++) {
    const answer = await ask();
    if (answer.status !== 200) return answer;
  }
  throw new Error("nothing was refused");
}

const paddedPing = (bytes: number) => `{"type":"Ping","pad":"${"x".repeat(bytes - 24)}"}`;
const subscribe = (...channels: string[]) => ({ type: "Subscribe", payload: { channels } });

/** Sends what no kernel buffer takes to somebody who does not read. */
async function flood(pod: Pod): Promise<void> {
  const payload = "x".repeat(60_000);
  for (let i = 0; i < 250; i++)
    await pod.rest("POST", "/api/v1/notifications/channel", { body: { channel: "a", event_type: "e", payload } });
}

const LIMITS: Table<Limits> = {
  async connectionsPerPod(pod) {
    await pod.push({ limits: { connectionsPerPod: 2 } });
    await using _second = await pod.seated("bob");
    await using third = await pod.socket("cat");
    expect([third.answer.status, third.answer.headers.get("retry-after")]).toEqual([503, "5"]);
    await pod.push({ limits: { connectionsPerPod: 3 } });
    await using _fourth = await pod.seated("cat");
  },
  async frameBytes(pod) {
    await pod.push({ limits: { frameBytes: 1024 } });
    await using client = await pod.seated("bob");
    await client.ask(paddedPing(1024), "pong");
    client.send(paddedPing(1025));
    expect(await client.ending()).toMatchObject({ code: 1009 });
    await pod.push({ limits: { frameBytes: 1025 } });
    await using again = await pod.seated("bob");
    await again.ask(paddedPing(1025), "pong");
  },
  async bodyBytes(pod) {
    await pod.push({ limits: { bodyBytes: 1024 } });
    expect(await posted(pod, SEND, sized(1024))).toEqual([200, undefined]);
    expect(await posted(pod, SEND, sized(1025))).toEqual([413, "payload_too_large"]);
    await pod.push({ limits: { bodyBytes: 1025 } });
    expect(await posted(pod, SEND, sized(1025))).toEqual([200, undefined]);
  },
  async batchBytes(pod) {
    const batch = { notifications: [{ target: { type: "user", value: "ada" }, event_type: "e", payload: 1 }] };
    await pod.push({ limits: { batchBytes: 1024 } });
    expect(await posted(pod, BATCH, sized(1024, batch))).toEqual([200, undefined]);
    expect(await posted(pod, BATCH, sized(1025, batch))).toEqual([413, "payload_too_large"]);
    await pod.push({ limits: { batchBytes: 1025 } });
    expect(await posted(pod, BATCH, sized(1025, batch))).toEqual([200, undefined]);
  },
  async sendQueueBytes(pod) {
    await pod.push({ limits: { sendQueueBytes: 16_384 } });
    await using slow = await pod.seated("bob");
    await slow.ask(subscribe("a"), "subscribed");
    slow.stopReading();
    await flood(pod);
    slow.startReading();
    expect(await slow.ending(20_000)).toMatchObject({ code: 4002 });
    await pod.push({ limits: { sendQueueBytes: 33_554_432 } });
    await using patient = await pod.seated("bob");
    await patient.ask(subscribe("a"), "subscribed");
    patient.stopReading();
    await flood(pod);
    patient.startReading();
    await eventually("everything", () => patient.frames.filter(({ type }) => type === "notification").length === 250, {
      timeoutMs: 20_000,
    });
  },
  async framesPerSecond(pod) {
    await pod.push({ limits: { framesPerSecond: 1 } });
    await using client = await pod.seated("bob");
    for (const id of [1, 2, 3]) client.send({ type: "Ping", id });
    expect(await client.next("pong")).toMatchObject({ id: 1 });
    expect(client.frames.filter(({ id }) => id === 3)).toEqual([]); // it waits, and is not lost
    await pod.push({ limits: { framesPerSecond: 0 } });
    expect([await client.next("pong"), await client.next("pong")]).toMatchObject([{ id: 2 }, { id: 3 }]);
  },
  async requestsPerSecond(pod) {
    await pod.push({ limits: { requestsPerSecond: 1, requestBurst: 2 } });
    const asked = [await pod.rest("POST", SEND, { body: toAda() }), await pod.rest("POST", SEND, { body: toAda() })];
    expect(asked.map(({ status, headers }) => [status, headers.get("x-ratelimit-limit")])).toEqual([
      [200, "1"],
      [200, "1"],
    ]);
    const over = await firstOver(() => pod.rest("POST", SEND, { body: toAda() }));
    expect([...statusOf(over), over.headers.get("retry-after")]).toEqual([429, "rate_limited", "1"]);
    await pod.push({ limits: { requestsPerSecond: 0 } });
    expect((await pod.rest("POST", SEND, { body: toAda() })).status).toBe(200);
  },
  async requestBurst(pod) {
    const ask = () => posted(pod, "/api/v1/templates/none/preview", "{}", READER);
    await pod.push({ limits: { requestsPerSecond: 1, requestBurst: 4 } });
    for (let i = 0; i < 4; i++) expect(await ask()).toEqual([404, "template_not_found"]);
    expect(await eventually("the burst to be used up", async () => ((await ask())[0] === 429 ? "refused" : undefined))).toBe("refused");
  },
  async upgradesPerMinutePerAddress(pod) {
    await pod.push({ limits: { upgradesPerMinutePerAddress: 3 } });
    for (let i = 0; i < 3; i++) {
      await using _client = await pod.seated("bob");
    }
    await using fourth = await pod.socket("bob");
    expect([fourth.answer.status, fourth.answer.headers.get("retry-after")]).toEqual([429, "60"]);
    await pod.push({ limits: { upgradesPerMinutePerAddress: 0 } });
    await using _fifth = await pod.seated("bob");
  },
  async jwksPrivateNetworks(pod) {
    let dialled = 0;
    const open = (socket: { end(): void }) => {
      dialled++;
      socket.end();
    };
    const issuer = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open, data: () => undefined } });
    const ask = async (path: string) => {
      const key = { type: "jwks" as const, url: `https://127.0.0.1:${issuer.port}/${path}` };
      await pod.push({ acme: { issuers: [{ name: "sets", audiences: [], algorithms: ["RS256"], key, clock_skew_seconds: 0 }] } });
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const token = `${part({ alg: "RS256" })}.${part({ sub: "bob", tenant_id: "acme", exp: 4_000_000_000 })}.${part("none")}`;
      return (await fetch(`${pod.real.url}/sse?token=${token}`)).status;
    };
    expect([await ask("refused"), dialled]).toEqual([503, 0]);
    await pod.push({ limits: { jwksPrivateNetworks: true } });
    expect(await ask("asked")).toBe(503);
    expect(dialled).toBeGreaterThan(0);
    issuer.stop(true);
  },
};

const DELIVERY: Table<Delivery> = {
  async heartbeatSeconds(pod) {
    await using client = await pod.seated("bob"); // with a heartbeat in half a minute
    await pod.push({ delivery: { heartbeatSeconds: 1 } });
    await client.next("heartbeat");
    await using next = await pod.socket("bob");
    expect(await next.next("connected")).toMatchObject({ heartbeat_seconds: 1 });
  },
  async staleSeconds(pod) {
    await using gone = await pod.seated("bob");
    gone.answersPings = false;
    await pod.push({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
    expect(await gone.ending(10_000)).toMatchObject({ code: 4003 });
  },
  async ackTimeoutSeconds(pod) {
    const expired = async () => (await pod.rest("GET", "/api/v1/stats/acks")).body.expired;
    await using _bob = await pod.seated("bob");
    await pod.push({ delivery: { ackTimeoutSeconds: 2 } });
    await pod.rest("POST", SEND, { body: { ...toAda(), target_user_id: "bob" } });
    expect(await expired()).toBe(0);
    await eventually("the ACK to be late", async () => (await expired()) === 1);
  },
  drainSeconds: "rolls pods: it is part of the pod's grace period (test/server/core/drain.test.ts)",
  async reconnectJitterSeconds(pod) {
    await pod.push({ delivery: { reconnectJitterSeconds: 0 } });
    await using stream = await pod.stream("bob");
    expect((await stream.next("connected")).retryMs).toBe(1000);
  },
};

const QUOTAS: Table<Omit<TenantQuotas, "inbox">> = {
  async connections(pod) {
    await pod.push({ quotas: { connections: 2 } });
    await using _second = await pod.seated("bob");
    await using third = await pod.socket("cat");
    expect(await third.ending()).toMatchObject({ code: 4505 });
    await pod.push({ quotas: { connections: 3 } });
    await using _fourth = await pod.seated("cat");
  },
  async connectionsPerUser(pod) {
    await pod.push({ quotas: { connectionsPerUser: 1 } });
    await using _first = await pod.seated("bob");
    await using second = await pod.socket("bob");
    expect(await second.ending()).toMatchObject({ code: 4505 });
    await pod.push({ quotas: { connectionsPerUser: 2 } });
    await using _third = await pod.seated("bob");
  },
  async subscriptionsPerConnection(pod) {
    await using client = await pod.seated("bob");
    await pod.push({ quotas: { subscriptionsPerConnection: 2 } });
    client.send(subscribe("a", "b", "c"));
    expect(await client.next("subscribed")).toMatchObject({ payload: ["a", "b"] });
    expect(await client.next("error")).toMatchObject({ code: "SUBSCRIPTION_ERROR", field: "/payload/channels/2" });
    await pod.push({ quotas: { subscriptionsPerConnection: 3 } });
    expect(await client.ask(subscribe("c"), "subscribed")).toMatchObject({ payload: ["c"] });
  },
  publishPerSecond: publishQuota,
  publishBurst: publishQuota,
  async payloadBytes(pod) {
    const payload = (bytes: number) => "x".repeat(bytes - 2); // its quotes count
    await pod.push({ quotas: { payloadBytes: 256 } });
    expect((await pod.rest("POST", SEND, { body: toAda(payload(256)) })).status).toBe(200);
    expect(statusOf(await pod.rest("POST", SEND, { body: toAda(payload(257)) }))).toEqual([413, "payload_too_large"]);
    await pod.push({ quotas: { payloadBytes: 257 } });
    expect((await pod.rest("POST", SEND, { body: toAda(payload(257)) })).status).toBe(200);
  },
  async templates(pod) {
    const create = (id: string) => pod.rest("POST", TEMPLATES, { body: { id, name: id, event_type: "e", payload_template: { a: 1 } } });
    await pod.push({ quotas: { templates: 1 } });
    expect((await create("one")).status).toBe(201);
    expect(statusOf(await create("two"))).toEqual([400, "limit_exceeded"]);
    await pod.push({ quotas: { templates: 2 } });
    expect((await create("two")).status).toBe(201);
  },
};

async function publishQuota(pod: Pod): Promise<void> {
  await pod.push({ quotas: { publishPerSecond: 1, publishBurst: 2 } });
  for (let i = 0; i < 2; i++) expect((await pod.rest("POST", SEND, { body: toAda() })).status).toBe(200);
  expect(statusOf(await firstOver(() => pod.rest("POST", SEND, { body: toAda() })))).toEqual([429, "rate_limited"]);
  await pod.push({ quotas: { publishPerSecond: 100_000, publishBurst: 100_000 } });
  await eventually("the bucket to fill", async () => (await pod.rest("POST", SEND, { body: toAda() })).status === 200);
}

const INBOX: Table<TenantQuotas["inbox"]> = {
  async mode(pod) {
    const sent = async () => String((await pod.rest("POST", SEND, { body: { ...toAda(), target_user_id: "bob" } })).body.notification_id);
    const got = async (client: WsClient) => {
      await client.ask(PING, "pong");
      return client.frames.filter(({ type }) => type === "notification").map(({ id }) => id);
    };
    await pod.push({ quotas: { inbox: { mode: "Acked" } } });
    const first = await sent();
    for (let i = 0; i < 2; i++) {
      await using client = await pod.seated("bob");
      expect(await got(client)).toEqual([first]); // again, as long as it is not acknowledged
    }
    await pod.push({ quotas: { inbox: { mode: "Delivered" } } });
    {
      await using client = await pod.seated("bob");
      expect(await got(client)).toEqual([first]);
    }
    await using client = await pod.seated("bob");
    expect(await got(client)).toEqual([]);
  },
  async messages(pod) {
    const kept = async () => ((await pod.rest("GET", "/api/v1/users/ada/inbox")).body.entries as unknown[]).length;
    await pod.push({ quotas: { inbox: { messages: 2 } } });
    for (let i = 0; i < 3; i++) await pod.rest("POST", SEND, { body: toAda(i) });
    expect(await kept()).toBe(2);
    await pod.push({ quotas: { inbox: { messages: 3 } } });
    await pod.rest("POST", SEND, { body: toAda() });
    expect(await kept()).toBe(3);
  },
  async ttlSeconds(pod) {
    const kept = async () => ((await pod.rest("GET", "/api/v1/users/ada/inbox")).body.entries as unknown[]).length;
    await pod.push({ quotas: { inbox: { ttlSeconds: 2 } } });
    await pod.rest("POST", SEND, { body: toAda() });
    expect(await kept()).toBe(1);
    await eventually("the entry to be gone", async () => (await kept()) === 0);
  },
};

const ALL = Object.entries({ ...LIMITS, ...DELIVERY, ...QUOTAS, ...INBOX }).filter(([, show]) => typeof show !== "string");

test.each(ALL)(
  "%s holds at its edge, changes live, and ends nobody's session",
  async (_name, show) => {
    if (typeof show === "string") return;
    await using pod = await startPod();
    await using witness = await pod.seated("witness");
    await show(pod);
    await witness.ask(PING, "pong");
  },
  60_000,
);
