// Why: a scope that is judged too wide turns entries out of sight into deletions, and with them the data of tenants.
import { describe, expect, test } from "bun:test";
import { covers, EVERYTHING, scopeFromText, scopesOf, scopeText, union, type WatchScope } from "@nexus/operator/loop/watch-scope.ts";

const of = (namespaces: string, selector?: string): WatchScope => ({
  namespaces: namespaces === "" ? [] : namespaces.split(","),
  selector,
});

describe("a scope", () => {
  const texts: readonly (readonly [WatchScope, string])[] = [
    [EVERYTHING, "*"],
    [of("b,a"), "a,b"],
    [of("", "team=x"), "*;team=x"],
    [of("a", "team in (x,y);z"), "a;team in (x,y);z"],
  ];
  test.each(texts)("%j is written %s and read back", (scope, text) => {
    expect(scopeText(scope)).toBe(text);
    expect(scopeText(scopeFromText(text))).toBe(text);
  });

  test("that nobody wrote down may have been any", () => expect(scopeFromText(undefined)).toEqual(EVERYTHING));

  const judged: readonly (readonly [outer: WatchScope, inner: WatchScope, boolean])[] = [
    [EVERYTHING, of("a", "x"), true],
    [of("a"), EVERYTHING, false],
    [of("a,b"), of("b"), true],
    [of("b"), of("a,b"), false],
    [of("", "x"), EVERYTHING, false],
    [of("", "x"), of("", "x"), true],
    [of("", "x"), of("", "y"), false],
    [of("a", "x"), of("a", "x"), true],
  ];
  test.each(judged)("%j shows all of %j: %p", (outer, inner, expected) => expect(covers(outer, inner)).toBe(expected));

  test("with another shows at least what each of them does", () => {
    const all = judged.flatMap(([wider, narrower]) => [narrower, wider]);
    for (const a of all) for (const b of all) expect([covers(union(a, b), a), covers(union(a, b), b)]).toEqual([true, true]);
  });

  test("lists our kinds in each of its namespaces, by its selector", () => {
    expect(scopesOf(of("a,b", "x"))).toEqual([
      { namespace: "a", labelSelector: "x" },
      { namespace: "b", labelSelector: "x" },
    ]);
    expect(scopesOf(EVERYTHING)).toEqual([{}]);
  });
});
