// Why: memory per idle session decides how many pods a fleet needs. Measured as growth of the resident size over N
// sockets with one channel each, beside a raw Bun server in the same run.
import { createHmac } from "node:crypto";
import { rssKiB, settledRssKiB, start } from "./process.ts";
import { openSockets } from "./sockets.ts";

type Dev = { readonly url: string; readonly tenants: readonly { readonly jwt_secret: string }[] };

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(secret: string, user: string): string {
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

async function grown(pid: number, count: number, urlOf: (index: number) => string, greet: string) {
  const before = rssKiB(pid);
  const began = performance.now();
  const sockets = await openSockets(count, urlOf, greet);
  const seconds = (performance.now() - began) / 1000;
  const after = await settledRssKiB(pid);
  for (const { close } of sockets) close();
  return { before, after, each: (after - before) / count, perSecond: count / seconds };
}

/** Prints KiB per idle WebSocket of Nexus and of the floor, and their ratio. */
export async function idleMemory(count = 10_000): Promise<void> {
  const root = new URL("../..", import.meta.url).pathname;
  const rows: [string, Awaited<ReturnType<typeof grown>>][] = [];
  {
    await using floor = await start<{ url: string }>([process.execPath, `${root}test/bench/floor/raw-websocket.ts`]);
    rows.push(["raw Bun.serve", await grown(floor.pid, count, () => floor.ready.url.replace("http", "ws"), "hello")]);
  }
  {
    const command = [process.execPath, `${root}cli/src/main.ts`, "dev", `${root}examples/quickstart`, "--output", "json", "--port", "0"];
    await using nexus = await start<Dev>([...command, "--limits-connections-per-pod", String(count + 10)]);
    const secret = nexus.ready.tenants[0]?.jwt_secret ?? "";
    const url = nexus.ready.url.replace("http", "ws");
    const subscribe = JSON.stringify({ type: "Subscribe", payload: { channels: ["news"] } });
    rows.push(["nexus", await grown(nexus.pid, count, (index) => `${url}/ws?token=${token(secret, `user-${index}`)}`, subscribe)]);
  }
  const floorEach = rows[0]?.[1].each ?? Number.NaN;
  for (const [name, { before, after, each, perSecond }] of rows) {
    console.log(
      `${name.padEnd(14)} idle ${(before / 1024).toFixed(0)} MiB, with ${count} sockets ${(after / 1024).toFixed(0)} MiB: ` +
        `${each.toFixed(2)} KiB each (${(each / floorEach).toFixed(2)} x floor), ${perSecond.toFixed(0)} connects/s`,
    );
  }
}
