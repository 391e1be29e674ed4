// Why: the server as a process: configuration in, signals and exit codes out.
// Nothing else may read the environment, install a signal handler or exit.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { systemClock } from "./adapters/clock.ts";
import { createLog, type LevelledLog } from "./adapters/log.ts";
import { readFlags } from "./core/flags.ts";
import { INDEX_VARIABLE } from "./processes/messages.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The server as a process: configuration from `env` and flags, boot copy from the mounted folder, drain on SIGTERM.
 * Resolves with the exit code: 0 drained, 1 could not start, 2 bad configuration. A second signal ends the process at once.
 * With `processes` above 1 it runs that many of itself, and is told apart from them by a variable of the environment.
 */
export async function runServer(args: readonly string[], env: Environment): Promise<number> {
  const read = readFlags(args);
  const parsed = read.ok ? parseConfig({ env, flags: read.flags }) : read;
  if (!parsed.ok) {
    for (const error of parsed.errors) process.stderr.write(`${error}\n`);
    return 2;
  }
  const { config } = parsed;
  const index = config.processes > 1 ? env[INDEX_VARIABLE] : undefined;
  const log = createLog({
    level: config.log.level,
    clock: systemClock,
    ...(index === undefined ? {} : { fields: { process: Number(index) } }),
  });
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      log.error("server.crashed", { error });
      process.exit(1); // what is left of the state cannot be trusted
    });
  }
  return index === undefined ? await runAlone(config, env, log) : await runAsOneOf(config, Number(index), log);
}

/** A whole server, or the one that runs the others. */
async function runAlone(config: ServerConfig, env: Environment, log: LevelledLog): Promise<number> {
  const ended = Promise.withResolvers<number>();
  let server: { drain(): Promise<void> } | undefined;
  let isEnding = false;
  const end = (reason: string) => {
    if (isEnding || !server) {
      log.warn("server.killed", { reason });
      process.exit(1); // asked twice, or before there is anything to drain
    }
    isEnding = true;
    log.info("server.stopping", { reason });
    server.drain().then(
      () => ended.resolve(0),
      (error: unknown) => {
        log.error("server.stop_failed", { error });
        ended.resolve(1);
      },
    );
  };
  // As PID 1 a process without handlers ignores these signals.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => end(signal));
  try {
    const onDrainRequest = () => !isEnding && end("admin");
    server = await (config.processes > 1 ? startGroup : startWhole)(config, env, { log, onDrainRequest });
  } catch (error) {
    log.error("server.start_failed", { error });
    return 1;
  }
  return await ended.promise;
}

// Loaded when they are asked for: the process that runs the others has no use for engines and edges, and they weigh something.
type Start = (
  config: ServerConfig,
  env: Environment,
  options: { readonly log: LevelledLog; readonly onDrainRequest: () => void },
) => Promise<{ drain(): Promise<void> }>;

const startWhole: Start = async (config, _env, options) => {
  const { startServer } = await import("./server.ts");
  return await startServer(config, options);
};

const startGroup: Start = async (config, env, options) => {
  const { startProcesses } = await import("./processes/parent.ts");
  return await startProcesses(config, { ...options, env, command: ownCommand() });
};

/** This very program, from source or compiled, with the arguments it was given. */
function ownCommand(): readonly string[] {
  const isCompiled = Bun.main.startsWith("/$bunfs/");
  return [process.execPath, ...(isCompiled ? [] : [...process.execArgv, Bun.main]), ...process.argv.slice(2)];
}

async function runAsOneOf(config: ServerConfig, index: number, log: LevelledLog): Promise<number> {
  const [{ runChild }, { openParentLine }] = await Promise.all([import("./processes/child.ts"), import("./processes/parent-line.ts")]);
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  // A terminal and some supervisors signal every process of a group; the parent's second thoughts reach this one by its end.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => ask());
  return await runChild(config, index, { log, asked, line: openParentLine() });
}

if (import.meta.main) void runServer(process.argv.slice(2), process.env).then((code) => process.exit(code));
