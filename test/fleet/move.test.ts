// Why: a fleet is led to another Redis while people are connected: nobody is sent away, nothing is lost in silence, and two
// servers go on acting as one there.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import type { Frame } from "../support/listener.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTwoTenants, type TwoTenants } from "../support/two-tenants.ts";

const [first, second] = await Promise.all([startRedis({ settings: ["requirepass one"] }), startRedis({ settings: ["requirepass two"] })]);
let folder = "";
let file = "";
let servers: readonly TwoTenants[] = [];

/** In one step, as kubelet does it. */
async function lead(address: string, password: string): Promise<void> {
  await Bun.write(`${file}.next`, JSON.stringify({ topology: "standalone", addresses: [address], database: 0, password }));
  await rename(`${file}.next`, file);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-move-"));
  file = join(folder, "connection.json");
  await lead(first.address, "one");
  const env = { NEXUS_ENGINE: "redis", NEXUS_REDIS_CONNECTION_FILE: file, NEXUS_REDIS_REREAD_SECONDS: "1" };
  servers = await Promise.all(["here", "there"].map((node) => startTwoTenants({ ...env, NEXUS_NODE: node })));
}, 60_000);
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  await rm(folder, { recursive: true, force: true });
});

test("sessions stay, and what one server is told arrives at the other's, over the other Redis", async () => {
  const [here, there] = servers as [TwoTenants, TwoTenants]; // `beforeAll` started two
  const say = (path: string, body: object) => here.rest("POST", `/api/v1/notifications/${path}`, { body: { event_type: "test", ...body } });
  await using ann = await there.listen("ann", { channels: ["news"] });
  expect((await say("send", { target_user_id: "ann", payload: { text: "over the first" } })).body).toMatchObject({ delivered_to: 1 });
  expect(await ann.next("notification")).toMatchObject({ payload: { text: "over the first" } });

  await lead(second.address, "two");
  const hasMoved = ({ lines }: TwoTenants) => lines.some(({ event }) => event === "redis.moved");
  await eventually("both have moved", () => servers.every(hasMoved), { timeoutMs: 20_000 });
  await first.kill();
  await eventually("she is found there", async () => {
    const { status, body } = await say("send", { target_user_id: "ann", payload: { text: "over the second" } });
    return status === 200 && body.delivered_to === 1;
  });
  const isHeard = ({ type, payload }: Frame) => type === "notification" && JSON.stringify(payload).includes("over the second");
  await eventually("it arrives", () => ann.kept.some(isHeard));
  // Another Redis is another epoch: told once for each stream that is kept.
  expect(ann.kept.filter(({ type }) => type === "gap").length).toBeGreaterThan(0);
}, 60_000);
