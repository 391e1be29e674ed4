// Why: tests talk to a real PostgreSQL 15 of their own: a cluster in a temporary folder, a generated password, a free
// loopback port. It must leave neither a process nor a file behind, and never run the server as root (it refuses to).
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";
import { childrenOf, identify, killAll } from "./processes.ts";

const BINARIES = "/usr/lib/postgresql/15/bin";
const NOBODY = 65534;

export type PostgresServer = AsyncDisposable & {
  readonly port: number;
  /** Address of the database `nexus`, credentials included. */
  readonly url: string;
  /** Of the postmaster now. */
  pid(): number;
  /** SIGKILL to every process of the server, as clients would see a power cut. */
  kill(): Promise<void>;
  /** Stops every process where it stands (SIGSTOP), connections open, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Restarts it as a standby of nobody: it takes no writes until `promote` makes it a primary on a new timeline. */
  demote(): Promise<void>;
  /** Starts it again over the same folder. */
  start(): Promise<void>;
  /** Address of a new, empty database. */
  database(name: string): Promise<string>;
};

/** `isDurable`: fsync on, for tests about what a crash leaves. `settings`: lines of postgresql.conf. */
export type PostgresServerOptions = { readonly isDurable?: boolean; readonly settings?: readonly string[] };

/** The command as `nobody` where this process is root. */
const unprivileged = (command: readonly string[]): string[] =>
  process.getuid?.() === 0 ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--", ...command] : [...command];

async function run(command: readonly string[], folder: string): Promise<void> {
  const child = Bun.spawn(unprivileged(command), {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
    env: { LC_ALL: "C.UTF-8", PATH: "/usr/bin:/bin" },
  });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed: ${out}${error}`);
}

/** Makes a cluster and starts it; resolves once it answers. */
export async function startPostgres({ isDurable = false, settings = [] }: PostgresServerOptions = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-postgres-"));
  const data = join(folder, "data");
  const password = crypto.randomUUID();
  const passwordFile = join(folder, "password");
  await Bun.write(passwordFile, password);
  if (process.getuid?.() === 0) for (const path of [folder, passwordFile]) await chown(path, NOBODY, NOBODY);
  const init = ["--username=nexus", `--pwfile=${passwordFile}`, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
  await run([`${BINARIES}/initdb`, `--pgdata=${data}`, ...init], folder);
  const port = await freePort();
  const durability = isDurable ? [] : ["fsync = off", "synchronous_commit = off", "full_page_writes = off"];
  const lines = [`port = ${port}`, "listen_addresses = '127.0.0.1'", `unix_socket_directories = '${folder}'`, "max_connections = 60"];
  await Bun.write(join(data, "postgresql.auto.conf"), `${[...lines, ...durability, ...settings].join("\n")}\n`);
  const address = (database: string) => `postgres://nexus:${password}@127.0.0.1:${port}/${database}`;
  let child: Bun.Subprocess | undefined;

  async function start(): Promise<void> {
    const log = Bun.file(join(folder, "log"));
    const started = Bun.spawn(unprivileged([`${BINARIES}/postgres`, "-D", data]), { cwd: folder, stdout: log, stderr: log });
    child = started;
    await eventually(
      "postgres answers",
      async () => {
        if (started.exitCode !== null) throw new Error(`postgres ended: ${await log.text()}`);
        await using sql = new SQL(address("postgres"), { max: 1, connectionTimeout: 2 });
        return (await sql`SELECT 1 AS one`).length === 1;
      },
      { timeoutMs: 30_000 },
    );
  }

  function signal(name: "SIGSTOP" | "SIGCONT"): void {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    for (const pid of [child.pid, ...childrenOf(child.pid)]) {
      try {
        process.kill(pid, name);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it ended by itself
      }
    }
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(child.pid, "SIGSTOP"); // from now on it forks nobody
    const all = [child.pid, ...childrenOf(child.pid)].map(identify);
    await killAll(all.filter((one) => one !== undefined));
    await child.exited;
  }

  async function demote(): Promise<void> {
    await kill();
    await Bun.write(join(data, "standby.signal"), "");
    await start();
  }

  async function database(name: string): Promise<string> {
    await using sql = new SQL(address("postgres"), { max: 1 });
    await sql.unsafe(`CREATE DATABASE ${name}`);
    return address(name);
  }

  try {
    await start();
    await database("nexus");
  } catch (error) {
    await kill();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    ...{ port, url: address("nexus"), kill, start, demote, database },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    pid: () => child?.pid ?? 0,
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
