// Why: tests of several processes behind one port run the real program over a real Redis, with its admin port. It must
// leave neither a process nor a file behind, however the test ends.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN_PATHS, type PushRequest } from "@nexus/protocol/admin.ts";
import { type BundleEntry, makeBuckets } from "@nexus/protocol/bundle.ts";
import { writeBuckets } from "../support/boot-folder.ts";
import { digestOfAll } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { Listener } from "../support/listener.ts";
import { type LogLine, readLogLines } from "../support/log-lines.ts";
import { childrenOf, identify, killAll } from "../support/processes.ts";
import { ADMIN_NAME, ADMIN_TOKEN, adminFiles } from "../support/real-server.ts";
import { startRedis } from "../support/redis/server.ts";
import { token } from "../support/rest.ts";

const MAIN = join(import.meta.dir, "../../server/src/main.ts");

export type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

export type ProcessesOptions = {
  readonly processes: number;
  /** The boot copy. */
  readonly entries: readonly BundleEntry[];
  readonly env?: Readonly<Record<string, string>>;
};

/** The program with `processes` behind its port, ready. */
export async function startProcesses({ processes, entries, env = {} }: ProcessesOptions) {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const files = stack.use(await adminFiles());
  const boot = await mkdtemp(join(tmpdir(), "nexus-processes-"));
  stack.defer(() => rm(boot, { recursive: true, force: true }));
  await writeBuckets(boot, entries);
  const loopback = Object.fromEntries(
    ["HTTP", "OPS", "ADMIN"].flatMap((port) => [
      [`NEXUS_${port}_HOST`, "127.0.0.1"],
      [`NEXUS_${port}_PORT`, "0"],
    ]),
  );
  const child = Bun.spawn([process.execPath, MAIN], {
    env: {
      ...{ ...loopback, ...files.env, NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address, NEXUS_PROCESSES: String(processes) },
      ...{ NEXUS_BOOT_DIRECTORY: boot, NEXUS_BOOT_CONFIRM_SECONDS: "0", NEXUS_DRAIN_PROPAGATION_SECONDS: "0", NEXUS_NODE: "pod", ...env },
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: LogLine[] = [];
  const reading = readLogLines(child.stdout, lines);
  stack.defer(async () => {
    // All of them, also where the first one is gone and its children are not.
    const left = lines.flatMap(({ event, pid }) => (event === "process.spawned" && typeof pid === "number" ? [pid] : []));
    const known = [child.pid, ...left, ...childrenOf(child.pid)].flatMap((pid) => identify(pid) ?? []);
    await killAll(known);
    await reading;
  });
  const find = (event: string) =>
    eventually(`line ${event}`, () => lines.find((line) => line.event === event), { intervalMs: 5, timeoutMs: 20_000 });
  const { port } = await find("server.started");
  const { port: opsPort } = await find("ops.listening");
  const { port: adminPort } = await find("admin.listening");
  const url = `http://127.0.0.1:${port}`;
  const admin = async (path: string, body?: unknown): Promise<Answer> => {
    const answer = await fetch(`https://127.0.0.1:${adminPort}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...{ tls: { ca: files.ca, serverName: ADMIN_NAME }, keepalive: false },
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }; // all are objects
  };
  let sequence = 0;
  const owned = stack.move();
  return {
    ...{ child, lines, find, url, admin },
    opsUrl: `http://127.0.0.1:${opsPort}`,
    /** Pids of the servers, by index; those that ended are replaced by the next. */
    pids: () => {
      const found = new Map<number, number>();
      for (const { event, process: index, pid } of lines) {
        if (event === "process.spawned" && typeof index === "number" && typeof pid === "number") found.set(index, pid);
      }
      return [...found.values()];
    },
    /** The whole configuration, as a leader would push it. */
    push: (all: readonly BundleEntry[]) => admin(ADMIN_PATHS.bundle, pushOf(all, ++sequence)),
    status: async () => (await admin(ADMIN_PATHS.status)).body,
    listen: async (user: string) => Listener.open(`${url.replace("http", "ws")}/ws?token=${await token(user)}`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const pushOf = (entries: readonly BundleEntry[], sequence: number): PushRequest => ({
  ...{ format: 1, term: "5", sequence, digest: digestOfAll(entries) },
  buckets: makeBuckets(entries).map(({ index, digest, entries: all }) => ({
    ...{ index, from: "0".repeat(64), to: digest, full: true, entries: all, removed: [] },
  })),
});

/** Value of one sample in a text for scrapers; undefined when it is not there. */
export const sample = (text: string, name: string): number | undefined => {
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
};
