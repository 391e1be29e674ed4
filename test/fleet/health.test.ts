// Why: /health and /ready are what people and load balancers go by: each way in which a broker can be away shows in the first,
// and none of them takes a server out of traffic that still delivers.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startRealServer } from "../support/real-server.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTwoTenants } from "../support/two-tenants.ts";

type Health = { readonly status: string; readonly redis: { readonly status: string; readonly connected: boolean } };
const askAt = async (url: string): Promise<{ status: number; body: Health }> => {
  const answer = await fetch(`${url}/health`);
  return { status: answer.status, body: (await answer.json()) as Health }; // what follows compares it
};
const fast = { NEXUS_REDIS_COMMAND_TIMEOUT_MILLISECONDS: "500", NEXUS_REDIS_PROBE_MILLISECONDS: "250" };
const STATUS = { shape: "/health" } as const;

test("a Redis that is gone, or does not answer, is a degraded server that stays in traffic and keeps its sessions", async () => {
  await using redis = await startRedis();
  await using server = await startTwoTenants({ ...fast, NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address });
  const health = async () => await server.rest("GET", "/health", STATUS);
  expect((await health()).body).toMatchObject({ status: "healthy", redis: { status: "healthy", connected: true } });
  await using ann = await server.listen("ann");
  for (const outage of ["killed", "frozen"] as const) {
    if (outage === "killed") await redis.kill();
    else redis.freeze();
    // A frozen one is found out by those who ask it something.
    await eventually(`it is told that Redis is ${outage}`, async () => {
      await server.rest("GET", "/api/v1/users/ann/inbox");
      const { status, body } = await health();
      expect([status, body]).toMatchObject([200, { status: "degraded" }]);
      expect(body).not.toMatchObject({ redis: { status: "healthy" } });
      return true;
    });
    expect((await fetch(`${server.opsUrl}/ready`)).status).toBe(200);
    expect((await fetch(`${server.opsUrl}/live`)).status).toBe(200);
    expect(await (await fetch(`${server.opsUrl}/metrics`)).text()).toContain("\nnexus_degraded 1\n");
    if (outage === "killed") await redis.restart();
    else redis.resume();
    await eventually("it is told that Redis is back", async () => (await health()).body.status === "healthy");
  }
  const sent = { target_user_id: "ann", event_type: "test", payload: { text: "after both" } };
  await eventually(
    "she can be sent to",
    async () => (await server.rest("POST", "/api/v1/notifications/send", { body: sent })).status === 200,
  );
  expect(await ann.next("notification")).toMatchObject({ payload: { text: "after both" } });
}, 60_000);

test("a subscription that cannot be had is told, though every command is answered", async () => {
  await using redis = await startRedis();
  await using server = await startRealServer({ env: { ...fast, NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address } });
  await eventually("it hears", async () => (await askAt(server.url)).body.status === "healthy");
  await redisCommand(redis, ["ACL", "SETUSER", "default", "-ssubscribe"]);
  await redisCommand(redis, ["CLIENT", "KILL", "TYPE", "pubsub"]);
  await eventually("it is told", async () => (await askAt(server.url)).body.status === "degraded");
  expect(await askAt(server.url)).toMatchObject({ status: 200, body: { redis: { status: "healthy", connected: true } } });
  await redisCommand(redis, ["ACL", "SETUSER", "default", "+ssubscribe"]);
  await eventually("it hears again", async () => (await askAt(server.url)).body.status === "healthy");
}, 60_000);

test("a server whose Redis is not there yet lives, is not ready, and says what it waits for to nobody without a key", async () => {
  const [opsPort, redisPort] = [await freePort(), await freePort()];
  const env = { ...fast, NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: `127.0.0.1:${redisPort}`, NEXUS_OPS_PORT: String(opsPort) };
  const starting = startRealServer({ env });
  const probe = async (path: string) => await fetch(`http://127.0.0.1:${opsPort}${path}`, { keepalive: false });
  await eventually("the ops port answers", async () => (await probe("/live")).status === 200);
  const ready = await probe("/ready");
  expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ["configuration_loading"] }]);
  await using _redis = await startRedis({ port: redisPort });
  await using server = await starting;
  expect((await probe("/ready")).status).toBe(200);
  expect((await askAt(server.url)).status).toBe(200);
}, 60_000);
