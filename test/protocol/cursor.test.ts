// Why: a cursor that is misread resumes at the wrong place, which is a silent hole.
import { describe, expect, test } from "bun:test";
import { decodeCursor, encodeCursor, MAX_CURSOR_CHARACTERS, type Position, streamHash } from "@nexus/protocol/cursor.ts";
import fc from "fast-check";

const position = fc.record({
  epoch: fc.stringMatching(/^[A-Za-z0-9_-]{1,16}$/),
  offset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});
const streams = fc.dictionary(fc.string({ maxLength: 60 }), position, { maxKeys: 40 });

describe("cursor", () => {
  test("gives back what was put in, for any streams", () => {
    fc.assert(
      fc.property(streams, (given) => {
        const text = encodeCursor(Object.entries(given));
        if (text === undefined) return;
        const read = decodeCursor(text);
        expect(read).toEqual(new Map(Object.entries(given).map(([name, at]) => [streamHash(name), at])));
      }),
    );
  });

  test("holds fifty channels, the inbox and the broadcast", () => {
    const all: [string, Position][] = Array.from({ length: 50 }, (_, i) => [
      `channel:orders.${i}`,
      { epoch: "k3j2h1g0", offset: 4_000_000 },
    ]);
    const text = encodeCursor([["user", { epoch: "a", offset: 1 }], ["broadcast", { epoch: "b", offset: 2 }], ...all]);
    expect(text?.length).toBeLessThanOrEqual(MAX_CURSOR_CHARACTERS);
  });

  test("says when it would be too long instead of leaving streams out", () => {
    const all: [string, Position][] = Array.from({ length: 200 }, (_, i) => [`channel:${i}`, { epoch: "k3j2h1g0", offset: 1 }]);
    expect(encodeCursor(all)).toBeUndefined();
  });

  test("never throws on garbage, and refuses what it did not write", () => {
    fc.assert(fc.property(fc.string(), (text) => decodeCursor(text) === undefined || /^[A-Za-z0-9_-]+$/.test(text)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeCursor(Buffer.from(bytes).toString("base64url"));
      }),
    );
    for (const text of ["", "AA", "!!", "Ag", `A${"A".repeat(MAX_CURSOR_CHARACTERS)}`]) expect(decodeCursor(text)).toBeUndefined();
  });

  test("refuses every truncation", () => {
    const text = encodeCursor([["channel:orders", { epoch: "epoch-1", offset: 300 }]]) ?? "";
    const bytes = Buffer.from(text, "base64url");
    for (let length = 2; length < bytes.length; length++) {
      expect(decodeCursor(bytes.subarray(0, length).toString("base64url"))).toBeUndefined();
    }
  });
});
