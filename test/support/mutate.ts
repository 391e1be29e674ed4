// Why: garbage that a careless reader would take is nearly right: a good value with a part gone, doubled, or something else.
// It must never change what it was given, and its garbage is known by a word, so that a test sees when it is repeated.
import fc from "fast-check";

/** Part of every odd text here; no answer may repeat it. */
export const CANARY = "cAnArY-5f1d";

type Path = readonly (string | number)[];
type Change = { readonly at: number; readonly how: "remove" | "replace" | "add" | "double"; readonly junk: unknown };

const deep = (levels: number): unknown => {
  let value: unknown = CANARY;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { [CANARY]: value };
  return value;
};

/** A value nobody asked for. JSON has no NaN: it becomes null on the wire. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, false, 0, -1, -0, 0.5, 1e308, -1e308, 2 ** 53, 2 ** 31, Number.NaN, "", [], {}, [[]], [{}]],
    ...["\u0000", "\ud800", "\udfff\ud800", "\r\n", "__proto__", "constructor", "*", "a.b", ".", "..", "%00", "null"],
    ...[CANARY, `\u202e${CANARY}`, CANARY.repeat(500), [CANARY, CANARY], { [CANARY]: CANARY }, Array(300).fill(CANARY)],
    ...[deep(10), deep(63), deep(70), deep(500)],
    ...["9".repeat(400), "1e999", "0x10", "2020-13-45T99:99:99Z", "true"],
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.jsonValue(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ maxLength: 20 }).map((text) => `${CANARY}${text}`),
);

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(),
  how: fc.constantFrom("remove" as const, "replace" as const, "replace" as const, "add" as const, "double" as const),
  junk,
});

/** The value with one to three parts changed. */
export const mutated = (value: unknown): fc.Arbitrary<unknown> =>
  fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => changes.reduce(apply, value));

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null || path.length > 12) return [path];
  const inside = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [path, ...inside.slice(0, 40).flatMap((key) => pathsOf((value as Record<string | number, unknown>)[key], [...path, key]))]; // an object has its own keys
}

function apply(value: unknown, { at, how, junk: odd }: Change): unknown {
  const paths = pathsOf(value);
  return edit(value, paths[at % paths.length] ?? [], { how, odd });
}

type Edit = { readonly how: Change["how"]; readonly odd: unknown };

function edit(value: unknown, path: Path, what: Edit): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return changed(value, what);
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value];
    if (rest.length === 0 && what.how === "remove") copy.splice(Number(key), 1);
    else if (rest.length === 0 && what.how === "double") copy.push(copy[Number(key)]);
    else copy[Number(key)] = edit(copy[Number(key)], rest, what);
    return copy;
  }
  if (typeof value !== "object" || value === null) return what.odd;
  const { [key as string]: inner, ...others } = value as Record<string, unknown>; // objects are JSON here
  return rest.length === 0 && what.how === "remove" ? others : { ...others, [key]: edit(inner, rest, what) };
}

function changed(value: unknown, { how, odd }: Edit): unknown {
  if (how === "double") return [value, value];
  if (how !== "add") return odd;
  if (Array.isArray(value)) return [...(value as unknown[]), odd];
  if (typeof value === "object" && value !== null) return { ...value, [typeof odd === "string" ? odd : "more"]: odd };
  return `${String(value)}${typeof odd === "string" ? odd : CANARY}`;
}
