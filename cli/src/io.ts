// Why: commands write through one small object, so that tests can read what they say and nothing reaches for globals.

/** A terminal that can be drawn again. */
export type Screen = {
  readonly size: () => { readonly rows: number; readonly columns: number };
  /** Replaces what is on it. */
  readonly draw: (text: string) => void;
};

export type Io = {
  /** Results: what a script reads. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether colours help on `out`. */
  readonly colour: boolean;
  /** Absent: `out` is no terminal. */
  readonly screen?: Screen;
  /** How the reader calls us: `nexus`, or `kubectl nexus`. */
  readonly program: string;
  /** Standard input as text, for commands that take `-`. */
  readonly input: () => Promise<string>;
};

/** A command answers with its exit code: 0 done, 1 failed, 2 called wrongly; `plan` has its own. */
export type Command = (args: readonly string[], io: Io) => Promise<number>;

/** Cleared line by line from the top: clearing all at once flickers. */
const drawn = (text: string): string => `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\x1b[J`;

const screenOf = ({ stdout, env }: NodeJS.Process): Screen | undefined =>
  stdout.isTTY === true && env.TERM !== "dumb"
    ? {
        size: () => ({ rows: stdout.rows || 24, columns: stdout.columns || 80 }),
        draw: (text) => void stdout.write(drawn(text)),
      }
    : undefined;

export const processIo = (program = "nexus", screen = screenOf(process)): Io => ({
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  env: process.env,
  colour: process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "",
  program,
  ...(screen ? { screen } : {}),
  input: () => Bun.stdin.text(),
});
