// Why: a port that the system may give to any connection is taken, now and then, before the program it was meant for starts.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { freePortFrom, freePorts } from "../support/free-port.ts";

const RANGE = "/proc/sys/net/ipv4/ip_local_port_range";

test("ports are different, free, and none the system hands out by itself", async () => {
  const ports = await freePorts(50);
  expect(new Set(ports).size).toBe(50);
  const [lowest = 0] = existsSync(RANGE) ? readFileSync(RANGE, "utf8").trim().split(/\s+/).map(Number) : [49_152];
  expect(ports.every((port) => port >= 20_000 && port < Math.min(lowest, 30_000))).toBe(true);
});

test("one that somebody listens on is passed over", async () => {
  const [port = 0] = await freePorts(1);
  using taken = Bun.listen({ hostname: "127.0.0.1", port: port + 1, socket: { data: () => undefined } });
  expect(await freePorts(3)).not.toContain(taken.port);
});

test("one that another process was given is passed over, although nobody listens there yet", async () => {
  const other = `import { freePort } from "${import.meta.dir}/../support/free-port.ts";
    const port = await freePort();
    console.log(port);
    for await (const _ of process.stdin);`;
  await using child = Bun.spawn([process.execPath, "-e", other], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  const theirs = Number(new TextDecoder().decode(value));
  expect(theirs).toBeGreaterThanOrEqual(20_000);
  expect(await freePortFrom(theirs)).not.toBe(theirs); // which one it is, others who look at the same time decide
});
