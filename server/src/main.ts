// Why: the server as a process: configuration in, signals and exit codes out.
// Nothing else may read the environment, install a signal handler or exit.
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { systemClock } from "./adapters/clock.ts";
import { createLog } from "./adapters/log.ts";
import { readFlags } from "./core/flags.ts";
import { type RunningServer, startServer } from "./server.ts";

/**
 * The server as a process: configuration from `env` and flags, boot copy from the mounted folder, drain on SIGTERM.
 * Resolves with the exit code: 0 drained, 1 could not start, 2 bad configuration. A second signal ends the process at once.
 */
export async function runServer(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const read = readFlags(args);
  const parsed = read.ok ? parseConfig({ env, flags: read.flags }) : read;
  if (!parsed.ok) {
    for (const error of parsed.errors) process.stderr.write(`${error}\n`);
    return 2;
  }
  const { config } = parsed;
  const log = createLog({ level: config.log.level, clock: systemClock });
  const ended = Promise.withResolvers<number>();
  let server: RunningServer | undefined;
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
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      log.error("server.crashed", { error });
      process.exit(1); // what is left of the state cannot be trusted
    });
  }
  try {
    server = await startServer(config, { log, onDrainRequest: () => !isEnding && end("admin") });
  } catch (error) {
    log.error("server.start_failed", { error });
    return 1;
  }
  return await ended.promise;
}

if (import.meta.main) void runServer(process.argv.slice(2), process.env).then((code) => process.exit(code));
