// Why: benchmarks measure processes from outside, by what the kernel says about them. It must never measure itself.
import { readFileSync } from "node:fs";

/** A started program that printed one line of JSON when it was ready. */
export type Started<T> = AsyncDisposable & { readonly ready: T; readonly pid: number; readonly startedMs: number };

/** Starts `command`, waits for its first line of stdout (JSON), at most 30 s. Dispose stops it (SIGTERM, then waits). */
export async function start<T>(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Started<T>> {
  const began = performance.now();
  const child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const line = await firstLine(child.stdout);
  const startedMs = performance.now() - began;
  return {
    // The programs started here are ours; a line of another shape fails at its first use.
    ready: JSON.parse(line) as T,
    pid: child.pid,
    startedMs,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the program ended before it was ready: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text.slice(0, text.indexOf("\n"));
}

/** Resident set size in KiB. */
export function rssKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN);
}

/** User plus system CPU time in seconds; clock ticks are 1/100 s on Linux. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Waits until the resident size moved less than 1 % over a second (at most 20 s), and gives it back. */
export async function settledRssKiB(pid: number): Promise<number> {
  let last = rssKiB(pid);
  for (let second = 0; second < 20; second++) {
    await Bun.sleep(1000);
    const now = rssKiB(pid);
    if (Math.abs(now - last) < last * 0.01) return now;
    last = now;
  }
  return last;
}
