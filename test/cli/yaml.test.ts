// Why: files must mean here what they mean to kubectl, and every complaint must point at its line.
import { describe, expect, test } from "bun:test";
import { readYaml } from "@nexus/cli/files/yaml.ts";

const read = (text: string): unknown => readYaml(`v: ${text}`).documents[0]?.value;

describe("scalars are what sigs.k8s.io/yaml makes of them", () => {
  test.each<[string, unknown]>([
    ["Off", false],
    ["no", false],
    ["y", true],
    ["on", true],
    ["'no'", "no"],
    ["1.10", 1.1],
    ["010", 8],
    ["0o7", 7],
    ["0x1F", 31],
    ["1e3", 1000],
    ["1_000", 1000],
    ["~", null],
    ["null", null],
    ["", null],
    ["2026-01-01", "2026-01-01"],
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
    ["1:30", "1:30"],
    ["190:20:30", "190:20:30"],
    ["256Mi", "256Mi"],
    ["{{name}}x", undefined],
  ])("%s", (text, expected) => expect(read(text)).toEqual(expected === undefined ? undefined : { v: expected }));
});

describe("documents", () => {
  const text = "a:\n  b:\n    - c: 1\n    - c: 2\n---\n# nothing\n---\nx: [\n---\nkind: Last\n";

  test("several in a file, empty ones left out, a broken one reported with its line", () => {
    const { documents, errors } = readYaml(text);
    expect(documents.map(({ value }) => value)).toContainEqual({ a: { b: [{ c: 1 }, { c: 2 }] } });
    expect(errors).toHaveLength(1);
    expect(errors[0]?.line).toBeGreaterThanOrEqual(8);
  });

  test("a path leads to its line, a missing part to its parent's", () => {
    const [first] = readYaml(text).documents;
    expect(["a", "a.b", "a.b[1].c", "a.b[1].missing", "nowhere", ""].map((path) => first?.line(path))).toEqual([1, 2, 4, 4, 1, 1]);
  });

  test("the same key twice is an error", () => expect(readYaml("a: 1\na: 2\n").errors[0]?.line).toBe(2));

  test("anchors work, a bomb of them does not", () => {
    expect(readYaml("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n").documents[0]?.value).toEqual({ a: { b: 1 }, c: { b: 1 }, d: { b: 1 } });
    const bomb = [
      "a: &a [x,x,x,x,x,x,x,x,x,x]",
      ..."bcdefgh".split("").map((name, at) => `${name}: &${name} [${Array(10).fill(`*${"abcdefg"[at]}`).join(",")}]`),
    ].join("\n");
    expect(readYaml(bomb).errors).toHaveLength(1);
  });

  test("nothing, and comments only, are no documents", () => {
    for (const empty of ["", "\n", "# a comment\n", "---\n---\n"]) expect(readYaml(empty)).toEqual({ documents: [], errors: [] });
  });
});
