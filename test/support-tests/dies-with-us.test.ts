// Why: a killed test run leaves no server behind.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";

/** One that has ended and was not reaped yet (Z in proc(5)) does nothing any more: who is pid 1 decides when it goes. */
const isAlive = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.startsWith("Z") === false;
  } catch {
    return false; // no such process
  }
};

test.skipIf(!Bun.which("setpriv"))("a child ends when its parent is killed, and not before", async () => {
  const module = join(import.meta.dir, "../support/dies-with-us.ts");
  const program = `
    const { diesWithUs } = await import(${JSON.stringify(module)});
    const child = Bun.spawn(diesWithUs(["sleep", "60"]));
    console.log(child.pid);
    setInterval(() => undefined, 1000);
  `;
  const parent = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  // The kernel has to be told before the parent goes: setpriv does that, and becomes the program then.
  await eventually("it is the program", () => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep"));
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await parent.exited;
  await eventually("the child is gone", () => !isAlive(pid));
});
