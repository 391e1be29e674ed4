// Why: the whole platform on one machine from the same files as on Kubernetes: server in this process, the operator's
// compiler instead of an operator. It must never listen beyond loopback, and never lose a running configuration to a typo.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createLog } from "@nexus/server/adapters/log.ts";
import { type RunningServer, startServer } from "@nexus/server/server.ts";
import type { Arguments } from "../args.ts";
import { command, UsageError } from "../command.ts";
import { createConsole } from "../console/serve.ts";
import { Platform } from "../dev/platform.ts";
import { CONFIG_OPTIONS, type DevSettings, readSettings } from "../dev/settings.ts";
import { readyLine, summary } from "../dev/summary.ts";
import { fingerprint, watchFiles } from "../dev/watch.ts";
import { findFiles, leftOutText, problemText } from "../files/load.ts";
import type { Io } from "../io.ts";

export const dev = command(
  {
    line: "dev [PATH…] [flags]",
    about:
      "Runs Nexus on this machine from YAML files (default: examples/quickstart, or this folder). Every setting can also be an\nenvironment variable: --http-port is NEXUS_HTTP_PORT.",
    options: [
      { name: "--output", value: "FORMAT", about: "text (default), or json: one line on standard output once ready." },
      { name: "--state", value: "FOLDER", about: "Keep generated keys here, so that a restart keeps them." },
      { name: "--data", value: "FOLDER", about: "Keep notifications here, and without --state the keys too." },
      ...CONFIG_OPTIONS,
    ],
    words: "PATH",
    examples: ["dev", "dev my-files --port 9000", "dev my-files --data ./data --output json"],
  },
  async (args, io) => {
    const settings = readSettings(args, io.env);
    const output = args.get("--output") ?? "text";
    if (output !== "text" && output !== "json") throw new UsageError("--output: must be text or json");
    const paths = await pathsOf(args, io);
    return await serve(settings, { io, paths, output, state: args.get("--state") ?? args.get("--data") });
  },
);

async function pathsOf(args: Arguments, io: Io): Promise<readonly string[]> {
  // A compiled binary has no sources beside it.
  const example = resolve(import.meta.dir, "../../../examples/quickstart");
  const paths = args.words.length > 0 ? args.words : [existsSync(example) ? example : "."];
  const { missing, leftOut } = await findFiles(paths);
  if (missing.length > 0) throw new UsageError(...missing.map((path) => `${path}: no such file or folder`));
  const left = leftOutText(leftOut);
  if (left !== undefined) io.err(left);
  return paths;
}

/** Signals closer together than this are one. */
const SAME_WISH_MS = 500;

type Manner = { readonly io: Io; readonly paths: readonly string[]; readonly output: "text" | "json"; readonly state: string | undefined };

async function serve(settings: DevSettings, { io, paths, output, state }: Manner): Promise<number> {
  const { config, clusterName, hasDrain } = settings;
  const log = createLog({ level: config.log.level, clock: systemClock, write: (line) => void process.stderr.write(line) });
  const ended = Promise.withResolvers<number>();
  let server: RunningServer | undefined;
  let endingSince: number | undefined;
  const end = (signal: string) => {
    const now = systemClock.monotonic();
    // Ctrl-C reaches the whole process group, and npm's runner passes it on too: that is one wish, not two.
    if (endingSince !== undefined && now - endingSince < SAME_WISH_MS) return;
    if (endingSince !== undefined || !server) process.exit(signal === "SIGINT" ? 130 : 143);
    endingSince = now;
    leave(server, hasDrain).then(() => ended.resolve(0), ended.reject);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => end(signal));
  const platform = await Platform.open({
    paths,
    ...(clusterName === undefined ? {} : { clusterName }),
    ...(state === undefined ? {} : { state }),
  });
  const pages = createConsole({ bundle: () => platform.bundle(), now: () => systemClock.now() });
  try {
    server = await startServer(config, { log, extra: (request) => pages(request) });
  } catch (error) {
    throw portTaken(error) ? new Error(`port ${config.http.port} is in use; --port N takes another one, --port 0 any free one`) : error;
  }
  const addresses = { url: server.url, opsUrl: server.opsUrl };
  try {
    const tell = (lines: readonly string[]) => {
      for (const line of lines) io.err(line);
    };
    const since = await fingerprint(paths);
    const first = await platform.load(server);
    tell(first.problems.map(problemText));
    tell(first.notes);
    io.out(
      output === "json"
        ? readyLine(addresses, platform.bundle(), process.pid)
        : summary(addresses, platform.bundle(), { colour: io.colour, now: Date.now(), paths }),
    );
    const running = server;
    const reload = async () => {
      const { problems, notes, changed } = await platform.load(running);
      tell([...problems.map(problemText), ...notes]);
      tell([
        problems.length > 0
          ? "nexus: reloaded; what could not be used stays as it was"
          : `nexus: reloaded${changed ? "" : ", nothing changed"}`,
      ]);
    };
    const watch = await watchFiles(paths, since, () =>
      reload().catch((error: unknown) => tell([`nexus: not reloaded: ${error instanceof Error ? error.message : String(error)}`])),
    );
    const code = await ended.promise;
    watch.close();
    return code;
  } finally {
    await server.stop();
  }
}

/** Everybody is told, then it is over: on one machine there is no other node to spread clients over. */
async function leave(server: RunningServer, hasDrain: boolean): Promise<void> {
  if (hasDrain) return await server.drain();
  const { sessions } = server.node;
  server.node.refuseSessions();
  sessions.shutdown(sessions.count(), () => 1);
  await server.stop();
}

const portTaken = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "EADDRINUSE";
