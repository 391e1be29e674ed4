// Why: on a Redis Cluster the trigger stream lies with one primary, its dead letters perhaps with another, and PUBLISH is
// heard wherever it is said. Both forms must find what they need there, also after the primary they talked to is gone.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { startTriggers, type Triggers } from "@nexus/server/adapters/redis/triggers.ts";
import { eventually } from "../support/eventually.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { type ClusterRedis, startClusterRedis } from "../support/redis/cluster.ts";
import { slotOf } from "../support/redis/slots.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
let cluster: ClusterRedis;
let link: RedisLink;
beforeAll(async () => {
  cluster = await startClusterRedis();
  link = await openLink({ addresses: [...cluster.addresses], topology: "cluster", commandTimeoutMs: 2000, log: silent });
}, 60_000);
afterAll(async () => {
  await link?.close();
  await cluster?.[Symbol.asyncDispose]();
});

/** Takes whatever comes; a body that is no JSON is dead. */
function taking(streamKey: string): { readonly bodies: string[]; readonly triggers: Triggers } {
  const bodies: string[] = [];
  const triggers = startTriggers(
    {
      ...{ link, keys: new Keys(`triggers-${streamKey}`), self: "node/1", clock: systemClock, log: silent, topology: "cluster" },
      settings: { pubsub: true, stream: true, streamKey, maxAttempts: 3, retryMilliseconds: 500 },
    },
    {
      async sink({ body }) {
        bodies.push(body);
        return body === "{" ? { kind: "invalid", code: "invalid_json" } : { kind: "published" };
      },
      ready: () => true,
      counted: () => undefined,
    },
  );
  return { bodies, triggers };
}

for (const streamKey of ["nexus:triggers", "{nexus}:triggers"]) {
  test(`entries of ${streamKey} are done, and dead letters written, wherever the two lie`, async () => {
    const { bodies, triggers } = taking(streamKey);
    for (const body of ["1", "{", "2"]) await link.call("XADD", streamKey, "*", "body", body);
    await eventually("all are done", async () => Number(await link.call("XLEN", streamKey)) === 0, { timeoutMs: 20_000 });
    expect(bodies.toSorted()).toEqual(["1", "2", "{"]);
    expect(await link.call("XLEN", `${streamKey}:dead`)).toBe(1);
    await triggers.stop();
  }, 60_000);
}

test("PUBLISH to any node is heard once, and the stream goes on when its primary dies", async () => {
  const { bodies, triggers } = taking("nexus:again");
  const publish = async (body: string) => {
    for (const place of await cluster.primaries()) await redisCommand(place, ["PUBLISH", "notification:user:x", `${body}-${place.port}`]);
  };
  await eventually("somebody listens", async () => {
    await publish("probe");
    return bodies.length > 0;
  });
  bodies.length = 0;
  await publish("said");
  await eventually("all three came", () => bodies.filter((body) => body.startsWith("said")).length >= 3);
  expect(bodies.filter((body) => body.startsWith("said")).length).toBe(3);
  const slot = slotOf("nexus:again");
  const dead = await cluster.killPrimary(slot);
  await cluster.failedOver(slot, dead);
  await eventually(
    "entries are taken again",
    async () => {
      await link.call("XADD", "nexus:again", "*", "body", "after");
      return bodies.includes("after");
    },
    { timeoutMs: 30_000 },
  );
  await eventually(
    "messages are heard again",
    async () => {
      await publish("later");
      return bodies.some((body) => body.startsWith("later"));
    },
    { timeoutMs: 30_000 },
  );
  await triggers.stop();
}, 120_000);
