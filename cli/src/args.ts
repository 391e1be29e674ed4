// Why: every command reads its arguments the same way: `--name value`, `--name=value`, switches, paths, `--` before what
// only looks like a flag. It must never guess: what is unknown is named, with what may have been meant. Pure.
import { hint } from "./suggest.ts";

export type Option = {
  /** With the dashes. */
  readonly name: string;
  /** One letter, with its dash. */
  readonly short?: string;
  /** Placeholder of the value; absent: a switch. */
  readonly value?: string;
  /** What a switch that also takes a value accepts (`--flag` is `--flag true`). */
  readonly bare?: boolean;
  readonly many?: boolean;
  readonly about: string;
};

export type Usage = {
  /** The words after the program's name. */
  readonly line: string;
  readonly about: string;
  readonly options: readonly Option[];
  /** Calls as people make them, without the program's name. */
  readonly examples: readonly string[];
  /** What is neither a flag nor a value: refused unless named here. */
  readonly words?: string;
  /** Exit code of a call that cannot work, where 2 means something else. */
  readonly wrongCall?: 1;
};

export type Arguments = {
  has(name: string): boolean;
  /** The last value given. */
  get(name: string): string | undefined;
  all(name: string): readonly string[];
  readonly words: readonly string[];
  /** Flags given, with their last values. */
  readonly flags: ReadonlyMap<string, string>;
};

export type ParsedArguments = { readonly ok: true; readonly args: Arguments } | { readonly ok: false; readonly errors: readonly string[] };

export const HELP: Option = { name: "--help", short: "-h", about: "Show this text." };

export function parseArgs(usage: Usage, argv: readonly string[]): ParsedArguments {
  const options = [...usage.options, HELP];
  const known = new Map(options.map((option) => [option.name, option]));
  const shorts = new Map(options.flatMap((option) => (option.short === undefined ? [] : [[option.short, option.name] as const])));
  const given = new Map<string, string[]>();
  const words: string[] = [];
  const errors: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const [name = "", inline] = splitFlag(word, shorts);
    const option = known.get(name);
    if (!option) {
      errors.push(`${name}: no such flag${hint(name, [...known.keys()])}`);
      continue;
    }
    const read = readValue(option, inline, argv[at + 1]);
    if ("error" in read) errors.push(read.error);
    else {
      if (read.usedNext) at++;
      const values = given.get(name) ?? [];
      if (values.length > 0 && !option.many) errors.push(`${name}: is there twice`);
      given.set(name, [...values, read.value]);
    }
  }
  if (words.length > 0 && usage.words === undefined) errors.push(`${words[0]}: this command takes flags only`);
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, args: argumentsOf(given, words) };
}

/** `--name=value`, `-n value`, `-nvalue`, `-n=value`. */
function splitFlag(word: string, shorts: ReadonlyMap<string, string>): readonly [string, string?] {
  const long = shorts.get(word.slice(0, 2));
  if (long !== undefined && !word.startsWith("--")) return word.length === 2 ? [long] : [long, word.slice(2).replace(/^=/, "")];
  const at = word.indexOf("=");
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

type Read = { readonly value: string; readonly usedNext: boolean } | { readonly error: string };

function readValue(option: Option, inline: string | undefined, next: string | undefined): Read {
  if (option.value === undefined)
    return inline === undefined ? { value: "true", usedNext: false } : { error: `${option.name}: takes no value` };
  if (inline !== undefined) return { value: inline, usedNext: false };
  if (option.bare && next !== "true" && next !== "false") return { value: "true", usedNext: false };
  if (next === undefined || /^--?[a-z]/.test(next)) return { error: `${option.name}: needs a value (${option.value})` };
  return { value: next, usedNext: true };
}

const argumentsOf = (given: ReadonlyMap<string, readonly string[]>, words: readonly string[]): Arguments => ({
  has: (name) => given.has(name),
  get: (name) => given.get(name)?.at(-1),
  all: (name) => given.get(name) ?? [],
  words,
  flags: new Map([...given].map(([name, values]) => [name, values.at(-1) ?? ""])),
});

/** The text of `--help`; `program` is how the reader calls us: `nexus` or `kubectl nexus`. */
export function helpText(usage: Usage, program: string): string {
  const rows = [...usage.options, HELP].map(({ name, short, value, about }) => {
    const flag = `${short === undefined ? "" : `${short}, `}${name}`;
    return [value === undefined ? flag : `${flag} ${value}`, about] as const;
  });
  const width = Math.min(44, Math.max(...rows.map(([left]) => left.length)));
  const lines = rows.map(([left, about]) =>
    left.length > width ? `  ${left}\n  ${" ".repeat(width)}  ${about}` : `  ${left.padEnd(width)}  ${about}`,
  );
  const examples = usage.examples.map((example) => `  ${program} ${example}`);
  return `${usage.about}\n\nUsage: ${program} ${usage.line}\n\n${lines.join("\n")}\n\nExamples:\n${examples.join("\n")}`;
}
