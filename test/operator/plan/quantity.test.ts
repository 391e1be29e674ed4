import { expect, test } from "bun:test";
import { equalQuantities, parseQuantity } from "@nexus/protocol/resources/quantity.ts";
import fc from "fast-check";

test("the API server's rewritings are equal", () => {
  const pairs: [string | number, string | number][] = [
    ["1000m", "1"],
    ["0.5", "500m"],
    [0.5, "500m"],
    [1, "1"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["1e3", "1k"],
    ["1E3", "1000"],
    ["+1", "1"],
    ["-0", "0"],
    [".5", "0.5"],
    ["5.", "5"],
    ["0.1n", "1n"],
    ["1E", "1000P"],
  ];
  for (const [a, b] of pairs) expect([a, b, equalQuantities(a, b)]).toEqual([a, b, true]);
});

test("different amounts differ, also where a float would not tell", () => {
  const pairs: [string, string][] = [
    ["1", "1m"],
    ["1M", "1Mi"],
    ["1k", "1Ki"],
    ["9007199254740993", "9007199254740992"],
    ["1", "-1"],
    ["8Ei", "8E"],
  ];
  for (const [a, b] of pairs) expect([a, b, equalQuantities(a, b)]).toEqual([a, b, false]);
});

test("what is no quantity equals nothing, not even itself", () => {
  for (const text of ["", "abc", "1 Gi", "1GiB", "1mi", "0x10", "1e", "--1", "1e9999", "NaN", "Infinity", "1_000"]) {
    expect([text, parseQuantity(text)]).toEqual([text, undefined]);
    expect(equalQuantities(text, text)).toBe(false);
  }
});

const SUFFIXES: [string, bigint][] = [
  ...[
    ["n", 1n],
    ["u", 1_000n],
    ["m", 1_000_000n],
    ["", 10n ** 9n],
    ["k", 10n ** 12n],
    ["M", 10n ** 15n],
  ],
  ...[
    ["Ki", 1024n * 10n ** 9n],
    ["Mi", 1024n ** 2n * 10n ** 9n],
    ["Gi", 1024n ** 3n * 10n ** 9n],
  ],
] as [string, bigint][];

test("parses every integer with every suffix exactly, and its sign", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n }), fc.constantFrom(...SUFFIXES), fc.boolean(), (amount, [suffix, unit], negative) => {
      const sign = negative ? "-" : "";
      expect(parseQuantity(`${sign}${amount}${suffix}`)).toBe((negative ? -1n : 1n) * amount * unit);
    }),
  );
});

test("a fraction is worth its digits", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.nat(999), (whole, thousandths) => {
      const fraction = String(thousandths).padStart(3, "0");
      expect(equalQuantities(`${whole}.${fraction}`, `${whole * 1000 + thousandths}m`)).toBe(true);
      expect(equalQuantities(`${whole}.${fraction}Ki`, `${(BigInt(whole) * 1000n + BigInt(thousandths)) * 1024n}m`)).toBe(true);
    }),
  );
});
