// Why: what every command does first is done once: read the arguments, show help, complain.
import { type Arguments, HELP, helpText, parseArgs, type Usage } from "./args.ts";
import type { Command, Io } from "./io.ts";

/** A call that cannot work as it stands; each message names the flag. Exit code 2. */
export class UsageError extends Error {
  readonly messages: readonly string[];

  constructor(...messages: readonly string[]) {
    super(messages.join("; "));
    this.name = "UsageError";
    this.messages = messages;
  }
}

/** Makes a command of its usage and what it does. */
export const command =
  (usage: Usage, run: (args: Arguments, io: Io) => Promise<number>): Command =>
  async (argv, io) => {
    const parsed = parseArgs(usage, argv);
    if (!parsed.ok) return complain(usage, parsed.errors, io);
    if (parsed.args.has(HELP.name)) {
      io.out(helpText(usage));
      return 0;
    }
    try {
      return await run(parsed.args, io);
    } catch (error) {
      if (error instanceof UsageError) return complain(usage, error.messages, io);
      throw error;
    }
  };

function complain(usage: Usage, errors: readonly string[], io: Io): number {
  for (const error of errors) io.err(`nexus: ${error}`);
  io.err(`Usage: nexus ${usage.line}   (--help says more)`);
  return 2;
}

/** The value of a flag that has to be there, or of the variable that stands in for it. */
export function required(args: Arguments, name: string, io: Io, variable?: string): string {
  const value = args.get(name) ?? (variable === undefined ? undefined : io.env[variable]);
  if (value === undefined || value === "")
    throw new UsageError(`${name}: is required${variable === undefined ? "" : ` (or ${variable} in the environment)`}`);
  return value;
}
