// Why: tests talk to a real Redis of their own on a free loopback port. It must leave neither a process nor a file behind.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diesWithUs } from "../dies-with-us.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";

export type RedisServer = AsyncDisposable & {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly address: string;
  readonly pid: number;
  /** Ends the process at once, as a crash would; the folder stays until disposal. */
  kill(): Promise<void>;
  /** Starts it again where it was, with what its folder holds. */
  restart(): Promise<void>;
  /** Stops the process where it is: connections stay open and nothing answers. `resume` lets it go on. */
  freeze(): void;
  resume(): void;
};

/**
 * `settings`: lines of redis.conf. `port`: a fixed one, for a server that comes back. `folder`: kept when given.
 * `flags`: behind the file on the command line, such as `--sentinel`.
 */
export type RedisServerOptions = {
  readonly settings?: readonly string[];
  readonly port?: number;
  readonly folder?: string;
  readonly flags?: readonly string[];
};

/** Starts `redis-server` and resolves once it answers. Without settings it keeps nothing on disk. */
export async function startRedis({ settings = [], port, folder, flags = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const place = folder ?? (await mkdtemp(join(tmpdir(), "nexus-redis-")));
  const at = port ?? (await freePort());
  const file = join(place, "redis.conf");
  const config = [`port ${at}`, "bind 127.0.0.1", `dir ${place}`, 'save ""', "appendonly no", ...settings].join("\n");
  await Bun.write(file, `${config}\n`);
  const run = async () => {
    const child = Bun.spawn(diesWithUs(["redis-server", file, ...flags]), {
      stdout: Bun.file(join(place, "redis.log")),
      stderr: "inherit",
    });
    await eventually("redis-server answers", async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended: ${await Bun.file(join(place, "redis.log")).text()}`);
      const socket = await Bun.connect({ hostname: "127.0.0.1", port: at, socket: { data: () => undefined } });
      socket.end();
      return true;
    });
    return child;
  };
  let child = await run();
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    ...{ host: "127.0.0.1", port: at, address: `127.0.0.1:${at}`, kill },
    get pid() {
      return child.pid;
    },
    async restart() {
      await kill();
      child = await run();
    },
    freeze: () => child.kill("SIGSTOP"),
    resume: () => child.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await kill();
      if (folder === undefined) await rm(place, { recursive: true, force: true });
    },
  };
}
