// Why: every command reads its arguments the same way: `--name value`, `--name=value`, switches, paths, `--` before what
// only looks like a flag. It must never guess: what is unknown is named, with what may have been meant. Pure.
import { hint } from "./suggest.ts";

export type Option = {
  /** With the dashes. */
  readonly name: string;
  /** Placeholder of the value; absent: a switch. */
  readonly value?: string;
  /** What a switch that also takes a value accepts (`--flag` is `--flag true`). */
  readonly bare?: boolean;
  readonly many?: boolean;
  readonly about: string;
};

export type Usage = {
  /** The words after `nexus`. */
  readonly line: string;
  readonly about: string;
  readonly options: readonly Option[];
  /** What is neither a flag nor a value: refused unless named here. */
  readonly words?: string;
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

export const HELP: Option = { name: "--help", about: "Show this text." };

export function parseArgs(usage: Usage, argv: readonly string[]): ParsedArguments {
  const known = new Map([...usage.options, HELP].map((option) => [option.name, option]));
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
    const [name = "", inline] = splitFlag(word === "-h" ? HELP.name : word);
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

function splitFlag(word: string): readonly [string, string?] {
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

/** The text of `--help`. */
export function helpText(usage: Usage): string {
  const rows = [...usage.options, HELP].map(({ name, value, about }) => [value === undefined ? name : `${name} ${value}`, about] as const);
  const width = Math.min(44, Math.max(...rows.map(([left]) => left.length)));
  const lines = rows.map(([left, about]) =>
    left.length > width ? `  ${left}\n  ${" ".repeat(width)}  ${about}` : `  ${left.padEnd(width)}  ${about}`,
  );
  return `${usage.about}\n\nUsage: nexus ${usage.line}\n\n${lines.join("\n")}`;
}
