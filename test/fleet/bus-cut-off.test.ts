// Why: a node that is cut off from Redis can publish no probe. Whether its subscriptions live it has to find out all the same,
// or it stays deaf for seconds after the network is back.
import { expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { connected, createOwn } from "@nexus/server/adapters/redis/connect-client.ts";
import { createCredentials } from "@nexus/server/adapters/redis/credentials.ts";
import { Keys, PARTITIONS } from "@nexus/server/adapters/redis/keys.ts";
import { Subscriber } from "@nexus/server/adapters/redis/subscriber.ts";
import { eventually } from "../support/eventually.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const PROBE_MS = 50;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function cutOffGround() {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const proxy = stack.use(await startTcpProxy(redis));
  const seen = { failedProbes: 0, arrived: 0, dead: 0, lost: 0 };
  const state = { isCutOff: false };
  const options = { database: 0, commandTimeoutMs: 1000, credentials: createCredentials({}, silent), name: "test" };
  const subscriber = new Subscriber({
    link: {
      async call(command, ...args) {
        if (!state.isCutOff) return Number(await redisCommand(redis, [command, ...args]));
        seen.failedProbes++;
        throw new Error("cut off");
      },
      dial: () => connected(createOwn({ host: "127.0.0.1", port: proxy.port }, options)),
    },
    primary: { id: "one", host: redis.host, port: redis.port, partitions: Array.from({ length: PARTITIONS }, (_, n) => n) },
    ...{ keys: new Keys("test"), self: "node/1", clock: systemClock, log: silent, probeMs: PROBE_MS },
    events: {
      ...{
        subscriptions: () => [],
        settled: () => undefined,
        message: () => undefined,
        refresh: async () => undefined,
        moved: () => undefined,
      },
      lag: () => void seen.arrived++,
      dead: () => void seen.dead++,
      lost: () => void seen.lost++,
    },
  });
  stack.defer(() => subscriber.close());
  await eventually("a probe came back", () => seen.arrived > 0);
  const owned = stack.move();
  return { proxy, seen, state, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("a node that is cut off finds its subscriptions dead before it can publish again", async () => {
  await using ground = await cutOffGround();
  ground.proxy.stall();
  ground.state.isCutOff = true;
  await eventually("it is noticed", () => ground.seen.dead === 1 && ground.seen.lost === 1, { intervalMs: 5 });
  const { arrived } = ground.seen;
  ground.state.isCutOff = false;
  await eventually("probes come back on a new connection", () => ground.seen.arrived > arrived);
  expect(ground.seen.dead).toBe(1);
});

test("a subscription that lives is kept while probes cannot be published", async () => {
  await using ground = await cutOffGround();
  ground.state.isCutOff = true;
  await eventually("many probes failed", () => ground.seen.failedProbes > 10);
  expect(ground.seen).toMatchObject({ dead: 0, lost: 0 });
});
