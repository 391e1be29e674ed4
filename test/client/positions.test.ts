// Why: a place that is wrong by one loses or repeats an entry, silently. Whatever a server says, in any order, is held
// against a plain list of what was said last; and what is handed over to a later client is the same places.
import { expect, test } from "bun:test";
import { Positions, readCursor } from "@nexus/client/positions.ts";
import { decodeCursor, type Position, streamHash } from "@nexus/protocol/cursor.ts";
import fc from "fast-check";
import { fuzzSettings } from "../support/fuzz.ts";

const STREAMS = ["user", "broadcast", ...Array.from({ length: 60 }, (_, n) => `channel:c${n}`)];
const stream = fc.constantFrom(...STREAMS);
const place = fc.record({ epoch: fc.constantFrom("0", "e", "sixteen-letters1"), offset: fc.nat({ max: 2 ** 40 }) });
const step = fc.oneof(
  fc.record({ do: fc.constant("join" as const), stream, place }),
  fc.record({ do: fc.constant("notification" as const), stream, ahead: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ do: fc.constant("live" as const), stream }),
  fc.record({ do: fc.constant("gap" as const), stream, place }),
  fc.record({ do: fc.constant("forget" as const), stream }),
  fc.record({ do: fc.constant("reload" as const) }),
);

test("is where the server said last, or the last notification after it; also over reloads", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 150, size: "max" }), (steps) => {
      let positions = new Positions();
      /** `isNamed`: this life's server spoke of the stream. */
      const oracle = new Map<string, { at: Position; isNamed: boolean }>();
      for (const one of steps) {
        const known = "stream" in one ? oracle.get(one.stream) : undefined;
        if (one.do === "join") {
          positions.join({ stream: one.stream, ...one.place, outcome: "fresh" });
          oracle.set(one.stream, { at: one.place, isNamed: true });
        } else if (one.do === "notification") {
          const offset = (known?.at.offset ?? 5) + one.ahead;
          positions.advance(one.stream, offset);
          if (known?.isNamed && one.ahead > 0) known.at = { epoch: known.at.epoch, offset };
        } else if (one.do === "live") positions.advance(one.stream, undefined);
        else if (one.do === "gap") {
          positions.move(one.stream, one.place);
          if (known?.isNamed) known.at = one.place;
        } else if (one.do === "forget") {
          positions.forget(one.stream);
          oracle.delete(one.stream);
        } else {
          const text = positions.export();
          for (const part of text?.split(".") ?? []) expect(decodeCursor(part)).toBeDefined(); // the server reads it too
          positions = new Positions(text === undefined ? undefined : readCursor(text));
          for (const [name, { at }] of [...oracle]) {
            if (at.epoch === "0") oracle.delete(name);
            else oracle.set(name, { at, isNamed: false });
          }
        }
      }
      for (const name of STREAMS) {
        const at = oracle.get(name)?.at;
        expect(positions.get(name)).toEqual(at);
        expect(positions.since(name)).toEqual(at?.epoch === "0" ? undefined : at);
      }
      const query = positions.query();
      const presented = query === undefined ? new Map() : decodeCursor(query);
      for (const name of ["user", "broadcast"]) expect(presented?.get(streamHash(name))).toEqual(positions.since(name));
      expect(presented?.size).toBe(["user", "broadcast"].filter((name) => positions.since(name)).length);
    }),
    fuzzSettings(5),
  );
});

test("what is carried over of channels that nobody subscribes is bounded", () => {
  const positions = new Positions();
  for (let n = 0; n < 500; n++) positions.join({ stream: `channel:c${n}`, epoch: "e", offset: n, outcome: "fresh" });
  expect(readCursor(positions.export() ?? "")?.size).toBe(200);
});

test("any text is read or refused, never thrown at", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => void readCursor(text)));
});
