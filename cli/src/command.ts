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
      io.out(helpText(usage, io.program));
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
  io.err(`Usage: ${io.program} ${usage.line}   (--help says more)`);
  return usage.wrongCall ?? 2;
}

/** The value of a flag that has to be there, or of the variable that stands in for it. */
export function required(args: Arguments, name: string, io: Io, variable?: string): string {
  const value = args.get(name) ?? (variable === undefined ? undefined : io.env[variable]);
  if (value === undefined || value === "")
    throw new UsageError(`${name}: is required${variable === undefined ? "" : ` (or ${variable} in the environment)`}`);
  return value;
}

/** The value of a flag that is one of a few words; `fallback` when it is not given. */
export function oneOf<const T extends readonly string[]>(args: Arguments, name: string, words: T, fallback: T[number]): T[number] {
  const value = args.get(name) ?? fallback;
  if (words.includes(value)) return value;
  throw new UsageError(`${name}: must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
}

/** A whole number within bounds. */
export function wholeNumber(
  args: Arguments,
  name: string,
  bounds: { readonly least: number; readonly most: number; readonly fallback: number },
): number {
  const value = args.get(name);
  if (value === undefined) return bounds.fallback;
  const number = Number(value);
  if (/^\d{1,10}$/.test(value) && number >= bounds.least && number <= bounds.most) return number;
  throw new UsageError(`${name}: must be a whole number from ${bounds.least} to ${bounds.most}`);
}
