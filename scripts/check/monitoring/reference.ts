// Why: the reference of metrics is what people search; a metric that is not in it does not exist for them, and one that is only
// there misleads them. Pure.
import { REFERENCE, type World } from "./world.ts";

/** Names in the first column of the reference's tables. */
export const namesIn = (text: string): readonly string[] => [...text.matchAll(/^\| `([a-z][a-z0-9_:]*)`/gm)].map(([, name = ""]) => name);

export function complaintsOfReference({ metrics, pages }: World): readonly string[] {
  const text = pages.get(REFERENCE);
  if (text === undefined) return [`${REFERENCE} is missing`];
  const [told, exported] = [new Set(namesIn(text)), new Set(metrics.map(({ name }) => name))];
  return [
    ...[...exported].filter((name) => !told.has(name)).map((name) => `${REFERENCE}: ${name} is exported and not there`),
    ...[...told].filter((name) => !exported.has(name)).map((name) => `${REFERENCE}: ${name} is there and nobody exports it`),
  ];
}
