// Why: the one `nexus` binary. It only finds the command: each is loaded when it is called, because a server must not load
// the operator's Kubernetes client to start.
import { version } from "../package.json" with { type: "json" };
import { type Command, type Io, processIo } from "./io.ts";
import { hint } from "./suggest.ts";

type Entry = { readonly about: string; readonly load: () => Promise<Command> };

const COMMANDS: Readonly<Record<string, Entry>> = {
  dev: { about: "Run Nexus on this machine from YAML files.", load: async () => (await import("./commands/dev.ts")).dev },
  init: { about: "Write files to start from.", load: async () => (await import("./commands/init.ts")).init },
  listen: { about: "Connect as a user and print what arrives.", load: async () => (await import("./commands/listen.ts")).listen },
  send: { about: "Send a notification.", load: async () => (await import("./commands/send.ts")).send },
  token: { about: "Mint a token for a user from a secret.", load: async () => (await import("./commands/token.ts")).token },
  validate: { about: "Check YAML files without a cluster.", load: async () => (await import("./commands/validate.ts")).validate },
  render: {
    about: "Print the objects the operator would make of YAML files.",
    load: async () => (await import("./commands/render.ts")).render,
  },
  rules: {
    about: "Print the alerts of clusters in YAML files as a rule file.",
    load: async () => (await import("./commands/rules.ts")).rules,
  },
  dashboards: {
    about: "Write Grafana dashboards of an installation and of clusters in YAML files.",
    load: async () => (await import("./commands/dashboards.ts")).dashboards,
  },
  plan: { about: "Say what applying YAML files would change.", load: async () => (await import("./commands/plan.ts")).plan },
  status: { about: "Show clusters, tenants and what is not Ready.", load: async () => (await import("./commands/status.ts")).status },
  explain: { about: "Say why an object is not Ready, and what to do.", load: async () => (await import("./commands/explain.ts")).explain },
  doctor: { about: "Check everything an installation needs.", load: async () => (await import("./commands/doctor.ts")).doctor },
  drain: { about: "Empty a server pod, or all of a node's, gently.", load: async () => (await import("./commands/drain.ts")).drain },
  "log-level": {
    about: "Change how much servers or the operator log, for a while.",
    load: async () => (await import("./commands/log-level.ts")).logLevel,
  },
  "support-bundle": {
    about: "Collect what an error report needs, without secrets.",
    load: async () => (await import("./commands/support-bundle.ts")).supportBundle,
  },
  server: {
    about: "Run a server process, as in the pods.",
    load: async () => {
      const { runServer } = await import("@nexus/server/main.ts");
      return (args, io) => runServer(args, io.env);
    },
  },
  operator: {
    about: "Run the operator; operator check: can an installed one do its work?",
    load: async () => async (args, io) => {
      if (args[0] === "check") return await (await import("@nexus/operator/check.ts")).runCheck(args.slice(1), io.env, io.out);
      return await (await import("@nexus/operator/main.ts")).runOperator(args, io.env);
    },
  },
  version: {
    about: "Print the version.",
    load: async () => async (_args, io) => {
      io.out(version);
      return 0;
    },
  },
};

/** What `nexus <command>` knows; pages name no other. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

export async function main(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") return await help(rest, io);
  const entry = Object.hasOwn(COMMANDS, name === "--version" ? "version" : name)
    ? COMMANDS[name === "--version" ? "version" : name]
    : undefined;
  if (!entry) {
    io.err(`nexus: no such command: ${name}${hint(name, Object.keys(COMMANDS))}`);
    io.err(`${io.program} help lists them.`);
    return 2;
  }
  return await (await entry.load())(rest, io);
}

async function help([topic]: readonly string[], io: Io): Promise<number> {
  if (topic !== undefined && topic !== "help") return await main([topic, "--help"], io);
  const lines = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(16)}${about}`);
  io.out(
    `Nexus ${version}: real-time notifications.\n\nUsage: ${io.program} <command> [flags]\n\n${lines.join("\n")}\n\n${io.program} help <command> says more.`,
  );
  return 0;
}

/** Runs one call of a process and ends it; a failure nobody foresaw is one line and 1. */
export async function runProcess(program: string): Promise<never> {
  const code = await main(process.argv.slice(2), processIo(program)).catch((error: unknown) => {
    process.stderr.write(`nexus: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  });
  await Promise.all([process.stdout, process.stderr].map(written));
  process.exit(code);
}

/** A pipe takes 64 KiB at a time, and ending would throw away what its reader has not come to yet. A reader that left wants no more. */
const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    stream.once("error", () => resolve());
    stream.end(() => resolve());
  });

/** kubectl runs a program named kubectl-nexus for `kubectl nexus`; a link of that name to the compiled program is enough. */
export const programOf = (calledAs: string): string => (/(^|\/)kubectl-nexus$/.test(calledAs) ? "kubectl nexus" : "nexus");

if (import.meta.main) await runProcess(programOf(process.argv0));
