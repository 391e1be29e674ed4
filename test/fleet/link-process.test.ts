// Why: Kubernetes starts a server before its Redis as often as after it, and judges it by probes and exit codes only.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { startNode } from "../support/fleet/node.ts";
import { freePort } from "../support/free-port.ts";
import { startRedis } from "../support/redis/server.ts";

const statusOf = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`).then(({ status }) => status);

test("a server without its Redis is alive, not ready, and starts by itself when Redis is there", async () => {
  const [redisPort, opsPort] = [await freePort(), await freePort()];
  const starting = startNode("waits", {
    ...{ NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: `127.0.0.1:${redisPort}`, NEXUS_OPS_PORT: String(opsPort) },
  });
  await eventually("probes are answered", async () => (await statusOf(opsPort, "/live")) === 200);
  expect(await statusOf(opsPort, "/ready")).toBe(503);
  await using _redis = await startRedis({ port: redisPort });
  await using node = await starting;
  await eventually("it is ready", async () => (await statusOf(opsPort, "/ready")) === 200);
  const events = node.lines.map(({ event }) => event);
  expect(events.indexOf("redis.waiting")).toBeGreaterThan(-1);
  expect(events.indexOf("redis.waiting")).toBeLessThan(events.indexOf("server.started"));
  const metrics = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  expect(metrics).toContain("nexus_redis_connected 1\n");
  expect(metrics).toMatch(/nexus_redis_calls_total\{outcome="ok"\} [1-9]/);
});

test("one that can never start ends with 1 and the setting that is wrong", async () => {
  await using redis = await startRedis({ settings: ["requirepass secret"] });
  const starting = startNode("wrong", { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address });
  await expect(starting).rejects.toThrow(/ended with 1: .*NEXUS_REDIS_PASSWORD_FILE/);
});
