// Why: the client is for browsers and Node, and these tests run in Bun. The same listener is driven in each, with a link that
// drops: their WebSockets differ most where connections end. Where a runtime cannot be had this says so and runs nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeRuntime } from "../client/node-runtime.ts";
import type { Orders, Told } from "../client/programs/listener.ts";
import { missingBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/server.ts";
import { type Site, startSite } from "./support/browser.ts";

type Listener = AsyncDisposable & { readonly told: readonly Told[] };
type Start = (orders: Orders) => Promise<Listener>;

const KEPT = { size: 1000, ttlSeconds: 60 };
const CHANNEL = "kept.news";
const RETURNS = 5;

function suite(start: Start): void {
  test("a link that drops while entries flow loses nothing and repeats nothing; the next run goes on", async () => {
    await using server = startServer({
      channels: [
        { match: "kept.*", history: KEPT },
        { match: "@broadcast", history: KEPT },
        { match: "talk.*", publish: "Claim" },
      ],
    });
    const published: string[] = [];
    const publish = async () => {
      published.push((await server.publish({ kind: "channel", channel: CHANNEL })).id);
      published.push((await server.publish({ kind: "user", user: "ada" })).id);
    };
    const orders = { url: server.app.url, token: server.token("ada", { channels: ["talk.*"] }), channel: CHANNEL, publishTo: "talk.a" };
    let cursor: string | undefined;
    {
      await using one = await start(orders);
      await eventually("it listens, and was heard", () => one.told.some(({ what }) => what === "published"));
      const drops = () => one.told.filter(({ what }) => what === "disconnected").length;
      for (let n = 1; n <= RETURNS; n++) {
        await publish();
        server.app.node.sessions.shutdown(1, () => 0);
        await eventually(`drop ${n}`, () => drops() === n);
        await publish(); // while it is away
        await eventually(`back from drop ${n}`, () => heard(one.told).length === published.length);
      }
      expect(heard(one.told).sort()).toEqual([...published].sort());
      expect(one.told.filter(({ what }) => what === "gap" || what === "error")).toEqual([]);
      cursor = one.told.findLast((told) => told.what === "notification")?.cursor;
    }
    await publish(); // while nothing of it runs
    await using next = await start({ ...orders, ...(cursor === undefined ? {} : { cursor }) });
    await eventually("the rest arrives", () => heard(next.told).length >= 2);
    expect(heard(next.told).sort()).toEqual(published.slice(-2).sort());
  }, 60_000);
}

const heard = (told: readonly Told[]): string[] => told.flatMap((one) => (one.what === "notification" ? [one.id] : []));

async function bundle(program: string, target: "browser" | "node"): Promise<string> {
  const built = await Bun.build({ entrypoints: [join(import.meta.dir, "../client/programs", program)], target });
  return (await built.outputs[0]?.text()) ?? "";
}

const home = await nodeRuntime();
if (!home.ok) process.stderr.write(`skipped: the client in Node: ${home.reason}\n`);

describe.skipIf(!home.ok)("in Node 22", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "nexus-client-"));
    await Bun.write(join(folder, "main.mjs"), await bundle("node-main.ts", "node"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  suite(async (orders) => {
    const told: Told[] = [];
    const argv = [home.ok ? home.node : "node", join(folder, "main.mjs"), JSON.stringify(orders)];
    const child = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit" });
    const reading = readLines(child.stdout, (line) => told.push(JSON.parse(line) as Told)); // our own program's lines
    return {
      told,
      async [Symbol.asyncDispose]() {
        child.kill();
        await child.exited;
        await reading;
      },
    };
  });
});

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}

const missing = await missingBrowser();
if (missing !== undefined) process.stderr.write(`skipped: the client in a browser: ${missing}\n`);

describe.skipIf(missing !== undefined)("in Chromium", () => {
  let site: Site;
  let script: string;
  beforeAll(async () => {
    site = await startSite();
    script = await bundle("page-main.ts", "browser");
  });
  afterAll(() => site?.[Symbol.asyncDispose]());

  suite(async (orders) => {
    const told: Told[] = [];
    const page = await site.page(script);
    await page.exposeFunction("tell", (one: Told) => told.push(one));
    await page.waitForFunction("globalThis.listenTo");
    await page.evaluate(`listenTo(${JSON.stringify(orders)}, (told) => tell(told))`);
    return { told, [Symbol.asyncDispose]: () => page.close() };
  });
});
