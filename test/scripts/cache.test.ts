import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withLock } from "../../scripts/host/cache.ts";
import { eventually } from "../support/eventually.ts";

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "nexus-lock-"));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("lets one holder in at a time and tells the one who waits", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "below", "lock");
    const order: string[] = [];
    const release = Promise.withResolvers<void>();
    const first = withLock(path, async () => {
      order.push("first in");
      await release.promise;
      order.push("first out");
    });
    const second = withLock(
      path,
      async () => order.push("second in"),
      () => order.push("second waits"),
    );
    await eventually("the second waits", () => order.includes("second waits"));
    release.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(["first in", "second waits", "first out", "second in"]);
  }));

test("gives the lock up when the work fails", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "lock");
    await expect(withLock(path, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await withLock(path, async () => "in")).toBe("in");
  }));

test("gets the lock of a process that was killed", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "lock");
    const script = `
      import { withLock } from "${join(import.meta.dir, "../../scripts/host/cache.ts")}";
      await withLock("${path}", async () => { console.log("in"); await new Promise(() => setInterval(() => undefined, 1000)); });`;
    const holder = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    await holder.stdout.getReader().read();
    let waited = false;
    const next = withLock(
      path,
      async () => "in",
      () => {
        waited = true;
        holder.kill("SIGKILL");
      },
    );
    expect(await next).toBe("in");
    expect(waited).toBe(true);
  }));
