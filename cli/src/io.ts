// Why: commands write through one small object, so that tests can read what they say and nothing reaches for globals.

export type Io = {
  /** Results: what a script reads. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether colours help on `out`. */
  readonly colour: boolean;
  /** How the reader calls us: `nexus`, or `kubectl nexus`. */
  readonly program: string;
  /** Standard input as text, for commands that take `-`. */
  readonly input: () => Promise<string>;
};

/** A command answers with its exit code: 0 done, 1 failed, 2 called wrongly; `plan` has its own. */
export type Command = (args: readonly string[], io: Io) => Promise<number>;

export const processIo = (program = "nexus"): Io => ({
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  colour: process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "",
  program,
  input: () => Bun.stdin.text(),
});
