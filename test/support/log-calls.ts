// Why: the rows of a log catalogue are held against the source text: what a line says is written where it is called.
// It must never guess: a field counts when its name stands in the call, or in the file of a call that hands on an object.
import type { LogCatalogue } from "@nexus/protocol/log-line.ts";

export type Source = { readonly path: string; readonly source: string };
export type LogCall = { readonly level: string; readonly text: string; readonly source: string };

/** Every call of a log's method, with all its arguments as text. */
export function logCalls(files: readonly Source[]): readonly LogCall[] {
  return files.flatMap(({ source }) =>
    [...source.matchAll(/(?:\blog\??|Log\(\{[^}]*\}\))\.(debug|info|warn|error)\(/g)].map((found) => {
      const from = found.index + found[0].length;
      return { level: found[1] ?? "", text: source.slice(from, closing(source, from)), source };
    }),
  );
}

/** Index of the parenthesis that ends the call whose arguments begin at `from`. */
function closing(source: string, from: number): number {
  let depth = 1;
  for (let at = from; at < source.length; at++) {
    if (source[at] === "(") depth++;
    if (source[at] === ")" && --depth === 0) return at;
  }
  return source.length;
}

/** A literal, or a template whose fixed parts fit. */
function names(text: string, event: string): boolean {
  if (text.includes(`"${event}"`)) return true;
  return [...text.matchAll(/`([^`]*\$\{[^`]*)`/g)].some(([, template = ""]) => {
    const parts = template.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part));
    return new RegExp(`^${parts.join("[a-z_]+")}$`).test(event);
  });
}

const says = ({ text, source }: LogCall, field: string): boolean => {
  const word = new RegExp(`\\b${field}\\b`);
  const handsOn = /\.\.\.|,\s*[a-z]\w*\s*$/i.test(text);
  return word.test(text) || (handsOn && word.test(source));
};

/** What is not true of a catalogue, one sentence each. */
export function wrongRows(catalogue: LogCatalogue, calls: readonly LogCall[]): readonly string[] {
  return Object.entries(catalogue).flatMap(([event, { levels, fields }]) => {
    const own = calls.filter(({ text }) => names(text, event));
    if (own.length === 0) return [`${event}: no line in the code`];
    return [
      ...levels.filter((level) => !own.some((one) => one.level === level)).map((level) => `${event}: no line at level ${level}`),
      ...fields.filter((field) => !own.some((one) => says(one, field))).map((field) => `${event}: no line with the field ${field}`),
    ];
  });
}
