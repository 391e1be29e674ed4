// Why: the pure parts of the client, by value.
import { describe, expect, test } from "bun:test";
import { backoffMs } from "@nexus/client/backoff.ts";
import { Duplicates } from "@nexus/client/duplicates.ts";
import { readFrame, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "@nexus/client/frames.ts";
import { socketUrl } from "@nexus/client/options.ts";
import { Requests } from "@nexus/client/requests.ts";
import * as contract from "@nexus/protocol/frames.ts";
import fc from "fast-check";
import { rejection } from "./rejection.ts";

describe("back-off", () => {
  test("draws from the whole range, which doubles up to the maximum", () => {
    const options = { baseMs: 100, maxMs: 1000 };
    expect([0, 1, 2, 3, 4, 50, 5000].map((attempt) => backoffMs(attempt, 0.5, options))).toEqual([50, 100, 200, 400, 500, 500, 500]);
    expect(backoffMs(3, 0, options)).toBe(0);
  });
});

describe("duplicates", () => {
  test("the same notification counts once on each stream", () => {
    const seen = new Duplicates(10);
    expect([seen.isNew("user", "1"), seen.isNew("user", "1"), seen.isNew("channel:a", "1"), seen.isNew("user", "2")]).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  test("stays within its bound and forgets the longest unseen first, against a plain list", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 200 }), (ids) => {
        const seen = new Duplicates(5);
        let oracle: number[] = [];
        for (const id of ids) {
          expect(seen.isNew("user", String(id))).toBe(!oracle.includes(id));
          oracle = [...oracle.filter((one) => one !== id), id].slice(-5);
          expect(seen.size).toBeLessThanOrEqual(5);
        }
      }),
    );
  });
});

describe("frames", () => {
  test("the two texts of the handshake are the contract's", () => {
    expect({ SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX }).toEqual({
      SUBPROTOCOL: contract.SUBPROTOCOL,
      TOKEN_SUBPROTOCOL_PREFIX: contract.TOKEN_SUBPROTOCOL_PREFIX,
    });
  });

  test.each([
    ["not JSON", "{", "invalid"],
    ["bytes", new Uint8Array(2), "invalid"],
    ["no object", "[]", "invalid"],
    ["no type", "{}", "invalid"],
    ["a type of a newer server", '{"type":"poke"}', "unknown"],
    ["a name every object has", '{"type":"toString"}', "unknown"],
    ["a notification without id", '{"type":"notification","event_type":"x","stream":"user","metadata":{}}', "invalid"],
    ["a place of nonsense", '{"type":"gap","stream":"user","reason":"r","epoch":"no epoch","offset":1}', "invalid"],
    ["half a place", '{"type":"subscribed","payload":["a"],"streams":[{"stream":"channel:a","epoch":"e","outcome":"fresh"}]}', "invalid"],
    ["a heartbeat of nonsense", '{"type":"connected","connection_id":"c","heartbeat_seconds":"soon"}', "invalid"],
  ])("%s", (_name, data, expected) => {
    expect(readFrame(data)).toBe(expected as ReturnType<typeof readFrame>);
  });

  test("never throws, whatever arrives", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.constant(undefined)), (data) => void readFrame(data)));
  });
});

test.each([
  ["http://a:1", "ws://a:1/ws"],
  ["https://a/", "wss://a/ws"],
  ["wss://a/base/", "wss://a/base/ws"],
  ["ws://a/ws?x=1#f", "ws://a/ws?x=1"],
])("address %s is dialled as %s", (from, to) => expect(socketUrl(from)).toBe(to));

test("an address of another kind is refused at once", () => expect(() => socketUrl("ftp://a")).toThrow(TypeError));

test("calls that wait are bounded", async () => {
  const requests = new Requests(1);
  const first = requests.add("a", {});
  expect(await rejection(requests.add("b", {}))).toMatchObject({ code: "BUFFER_FULL", retry: true });
  expect(requests.answer("a", undefined)).toBe(true);
  expect(requests.answer("a", undefined)).toBe(false);
  await first;
});
