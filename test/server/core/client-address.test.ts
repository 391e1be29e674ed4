// Why: whoever can choose their address has no limit and can use up another's. Each way to try is a line here.
import { describe, expect, test } from "bun:test";
import { clientAddress, createAddressOf, trustedRanges } from "@nexus/server/core/client-address.ts";
import fc from "fast-check";

const TRUSTED = trustedRanges(["10.0.0.0/8", "2001:db8:ffff::/48"]);

describe("the client's address", () => {
  test.each([
    ["no header", "10.0.0.1", null, "10.0.0.1"],
    ["one hop", "10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["two trusted hops", "10.0.0.1", "203.0.113.7, 10.9.9.9", "203.0.113.7"],
    ["an address the client wrote itself", "10.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"],
    ["a trusted address the client wrote itself", "10.0.0.1", "10.1.1.1, 203.0.113.7", "203.0.113.7"],
    ["a peer that is no proxy of ours", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    ["only trusted hops", "10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"],
    ["garbage", "10.0.0.1", "not an address", "10.0.0.1"],
    ["garbage before a trusted hop", "10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["garbage before the client", "10.0.0.1", "<script>, 203.0.113.7", "203.0.113.7"],
    ["an empty header", "10.0.0.1", "", "10.0.0.1"],
    ["empty items", "10.0.0.1", "203.0.113.7,,", "10.0.0.1"],
    ["a port", "10.0.0.1", "203.0.113.7:4711", "203.0.113.7"],
    ["IPv6", "10.0.0.1", "2001:db8::7", "2001:db8:0:0:0:0:0:7"],
    ["IPv6 in brackets", "10.0.0.1", "[2001:db8::7]", "2001:db8:0:0:0:0:0:7"],
    ["IPv6 with a port", "10.0.0.1", "[2001:db8::7]:4711", "2001:db8:0:0:0:0:0:7"],
    ["IPv6 with a port in quotes", "10.0.0.1", '"[2001:db8::7]:4711"', "2001:db8:0:0:0:0:0:7"],
    ["an IPv6 proxy", "2001:db8:ffff::1", "203.0.113.7", "203.0.113.7"],
    ["an IPv4-mapped proxy", "::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["an IPv4-mapped client", "10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"],
    ["an IPv4-mapped peer", "::ffff:203.0.113.9", null, "203.0.113.9"],
    ["a peer that has no address", "", "203.0.113.7", ""],
  ])("%s", (_, peer, header, expected) => {
    expect(clientAddress(peer, header, TRUSTED)).toBe(expected);
  });

  test("is the peer's where nobody is trusted, whatever the header says", () => {
    expect(clientAddress("10.0.0.1", "1.1.1.1", [])).toBe("10.0.0.1");
  });

  test("is looked for in the last hops only", () => {
    expect(clientAddress("10.0.0.1", ["1.1.1.1", ...Array<string>(100).fill("10.0.0.2")].join(), TRUSTED)).toBe("10.0.0.2");
  });

  test("can never be chosen by a client behind one trusted proxy", () => {
    fc.assert(
      fc.property(fc.string(), (invented) => clientAddress("10.0.0.1", `${invented}, 203.0.113.7`, TRUSTED) === "203.0.113.7"),
      { numRuns: 500 },
    );
  });
});

test("every edge asks the listener, and says unknown where it does not know", () => {
  const request = new Request("http://nexus.test/", { headers: { "X-Forwarded-For": "203.0.113.7" } });
  const listener = { requestIP: () => ({ address: "10.0.0.1" }) };
  expect(createAddressOf(["10.0.0.0/8"])(request, listener)).toBe("203.0.113.7");
  expect(createAddressOf([])(request, listener)).toBe("10.0.0.1");
  expect(createAddressOf([])(request, { requestIP: () => null })).toBe("unknown");
  expect(createAddressOf([])(request, undefined)).toBe("unknown");
});
