// Why: starting, killing and restarting a named daemon is the same for every program of a cluster. It must never return
// before the daemon's process is recorded, and a daemon must never outlive the test process that started it.
// Programs of Kubernetes exit when something they need is not there yet, and rely on whoever started them to do it again (a
// kubelet, systemd): here that is `ready`.
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { childrenOf, identify, isRunning, killAll, type ProcessIdentity } from "../processes.ts";
import type { Run } from "./run.ts";

/** A daemon's command line. `env` is added to the environment of the test process. */
export type Command = { readonly argv: readonly string[]; readonly env?: Readonly<Record<string, string>> };

/** Where daemons run: on the machine itself, or inside the namespaces held open by a process. */
export type Placement = { readonly kind: "machine" } | { readonly kind: "namespaces"; readonly init: ProcessIdentity };

/** `argv` that enters the mount, network and pid namespaces of a process. */
export const entering = (init: ProcessIdentity, argv: readonly string[]): string[] => [
  "nsenter",
  "-t",
  String(init.pid),
  "-m",
  "-n",
  "-p",
  "--",
  ...argv,
];

/** How often a daemon that exits before it is ready is started again: a race is over by then, a mistake is not. */
const RESTARTS = 3;

/** The daemons of one cluster, by name. */
export class Components {
  readonly #run: Run;
  readonly #placement: Placement;
  readonly #commands = new Map<string, Command>();
  readonly #processes = new Map<string, ProcessIdentity>();
  /** Those that were started, and that nobody stopped on purpose. */
  readonly #wanted = new Set<string>();
  /** Under way: entering namespaces takes a moment, in which a daemon does not run and has not exited. */
  readonly #starting = new Map<string, Promise<void>>();

  constructor(run: Run, placement: Placement) {
    this.#run = run;
    this.#placement = placement;
    mkdirSync(join(run.directory, "logs"), { recursive: true });
  }

  /** Starts a daemon (its log goes to `logs/<name>.log`); a later `start(name)` alone starts the same command again. */
  async start(name: string, command?: Command): Promise<void> {
    if (command) this.#commands.set(name, command);
    const known = this.#commands.get(name);
    if (!known) throw new Error(`no component "${name}"; there are ${[...this.#commands.keys()].join(", ")}`);
    if (this.isRunning(name)) return;
    const starting = this.#starting.get(name) ?? this.#launch(name, known).finally(() => this.#starting.delete(name));
    this.#starting.set(name, starting);
    await starting;
  }

  async #launch(name: string, command: Command): Promise<void> {
    const spawned = await this.#spawn(name, command);
    this.#wanted.add(name);
    // One that is gone before anybody looks is as one that exits a moment later: `ready` starts it again.
    if (spawned) this.#processes.set(name, spawned);
    else this.#processes.delete(name);
  }

  /** Kills a daemon with SIGKILL (an API server asked nicely waits for its watches) and waits until it is gone. */
  async stop(name: string): Promise<void> {
    if (!this.#commands.has(name)) throw new Error(`component "${name}" was never started`);
    this.#wanted.delete(name);
    const known = this.#processes.get(name);
    if (known) await killAll([known]);
  }

  isRunning(name: string): boolean {
    const known = this.#processes.get(name);
    return known !== undefined && isRunning(known);
  }

  /** Pids on the machine, by name. */
  pids(): Record<string, number> {
    return Object.fromEntries([...this.#processes].map(([name, { pid }]) => [name, pid]));
  }

  /**
   * Waits until `probe` is truthy. Daemons that exit meanwhile are started again, {@link RESTARTS} times in all, and stderr says so.
   * @throws Error with the end of the daemon's log when it exits too often or the time is over
   */
  async ready(name: string, probe: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    let restarts = 0;
    const look = async () => {
      for (const exited of [...this.#wanted].filter((one) => !this.isRunning(one) && !this.#starting.has(one))) {
        if (++restarts > RESTARTS) return "exited";
        process.stderr.write(`${exited} exited before ${name} was ready, and is started again: ${this.logTail(exited).slice(-1000)}\n`);
        await this.start(exited);
      }
      return (await probe()) && "ready";
    };
    try {
      if ((await eventually(`${name} is ready`, look, { timeoutMs })) === "exited") throw new Error(`${name} exited`);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${this.logTail(name)}`, { cause: error });
    }
  }

  /** The last 4 KB a daemon wrote. */
  logTail(name: string): string {
    return readFileSync(this.#logPath(name), "utf8").slice(-4096);
  }

  #logPath = (name: string) => join(this.#run.directory, "logs", `${name}.log`);

  /** Undefined when it has exited already. */
  async #spawn(name: string, command: Command): Promise<ProcessIdentity | undefined> {
    const { argv } = command;
    const placed = this.#placement.kind === "machine" ? [...argv] : entering(this.#placement.init, argv);
    const { pid } = spawnDaemon(placed, { log: this.#logPath(name), env: command.env ?? {} });
    const found = this.#placement.kind === "machine" ? identify(pid) : await onlyChild(name, pid);
    if (found) this.#run.remember(found);
    return found;
  }
}

/** Starts a program in a session of its own that the kernel kills when this process ends, however it ends (Linux). */
export function spawnDaemon(argv: readonly string[], options: { log: string; env: Readonly<Record<string, string>> }): { pid: number } {
  const log = openSync(options.log, "a");
  try {
    const tied = Bun.which("setpriv") ? ["setpriv", "--pdeathsig", "KILL", "--", ...argv] : [...argv];
    const child = Bun.spawn(tied, { env: { ...process.env, ...options.env }, stdin: "ignore", stdout: log, stderr: log, detached: true });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** nsenter forks to enter a pid namespace: what was asked for is its only child; undefined when both have ended. */
async function onlyChild(name: string, pid: number): Promise<ProcessIdentity | undefined> {
  const parent = identify(pid);
  const forked = () => (parent && isRunning(parent) ? childrenOf(pid).map(identify)[0] : "ended");
  const found = await eventually(`${name} was forked`, forked, { intervalMs: 5 });
  return found === "ended" ? undefined : found;
}
