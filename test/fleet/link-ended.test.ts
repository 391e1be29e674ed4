// Why: the client library has ways to give up for good; a server that runs for months has to come back from each of them.
import { expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { connected, createOwn } from "@nexus/server/adapters/redis/connect-client.ts";
import { watchClient } from "@nexus/server/adapters/redis/connect-watch.ts";
import { createCredentials } from "@nexus/server/adapters/redis/credentials.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function watched() {
  const redis = await startRedis();
  // A connection that the library never makes again by itself: to `watchClient` it ends as the other one does.
  const options = { database: 0, commandTimeoutMs: 1000, credentials: createCredentials({}, silent), name: "test" };
  const client = await connected(createOwn(redis, options));
  const events = { ended: 0, back: 0 };
  const state = { isClosed: false };
  client.on("end", () => {
    events.ended++;
  });
  watchClient(client, {
    ...{ log: silent, clock: systemClock, random: Math.random, onNodeAttempt: () => undefined },
    isClosed: () => state.isClosed,
    onBack: () => {
      events.back++;
    },
  });
  return {
    ...{ redis, client, events, state },
    async [Symbol.asyncDispose]() {
      state.isClosed = true;
      client.disconnect();
      await redis[Symbol.asyncDispose]();
    },
  };
}

test("a client that the library gave up is connected again, also when the first attempts fail", async () => {
  await using world = await watched();
  await world.redis.kill();
  await eventually("it gave up more than once", () => world.events.ended > 1);
  await world.redis.restart();
  await eventually("it is back", () => world.client.status === "ready");
  expect(await world.client.ping()).toBe("PONG");
  expect(world.events.back).toBe(1);
});

test("a client that was closed stays closed", async () => {
  await using world = await watched();
  world.state.isClosed = true;
  world.client.disconnect();
  await eventually("it ended", () => world.events.ended === 1);
  await Bun.sleep(300); // several attempts would fit in
  expect([world.client.status, world.events.back]).toEqual(["end", 0]);
});
