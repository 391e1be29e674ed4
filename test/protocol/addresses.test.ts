// Why: a range that is read wrongly trusts a stranger or opens a private network; each odd spelling is a line here.
import { describe, expect, test } from "bun:test";
import { addressNetwork, formatAddress, isInRange, parseAddress, parseRange, unmapped } from "@nexus/protocol/addresses.ts";

const inRange = (address: string, range: string): boolean => {
  const parsed = parseAddress(address);
  const wanted = parseRange(range);
  if (!parsed || !wanted) throw new Error("the test's own texts must be legal");
  return isInRange(parsed, wanted);
};

test.each([
  ["10.0.0.1", "10.0.0.1"],
  ["::", "0:0:0:0:0:0:0:0"],
  ["::1", "0:0:0:0:0:0:0:1"],
  ["1::", "1:0:0:0:0:0:0:0"],
  ["2001:DB8::a:0:1", "2001:db8:0:0:0:a:0:1"],
  ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
  ["::ffff:10.1.2.3", "0:0:0:0:0:ffff:a01:203"],
  ["64:ff9b::192.0.2.33", "64:ff9b:0:0:0:0:c000:221"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
])("%s is read", (text, written) => {
  const address = parseAddress(text);
  expect(address && formatAddress(address)).toBe(written);
});

test.each(["", "10.0.0", "10.0.0.256", "010.0.0.1", "1::2::3", ":1", "1:2:3:4:5:6:7", "g::", "[::1]", "example.com", "1.2.3.4:80"])(
  "%p is no address",
  (text) => {
    expect(parseAddress(text)).toBeUndefined();
  },
);

describe("a range", () => {
  test.each([
    ["10.255.255.255", "10.0.0.0/8", true],
    ["11.0.0.0", "10.0.0.0/8", false],
    ["172.31.255.255", "172.16.0.0/12", true],
    ["172.32.0.0", "172.16.0.0/12", false],
    ["100.64.0.1", "100.64.0.0/10", true],
    ["100.128.0.0", "100.64.0.0/10", false],
    ["1.2.3.4", "0.0.0.0/0", true],
    ["1.2.3.4", "1.2.3.4", true],
    ["1.2.3.5", "1.2.3.4/32", false],
    ["10.9.9.9", "10.1.2.3/8", true],
    ["fdff::1", "fc00::/7", true],
    ["fe00::1", "fc00::/7", false],
    ["2001:db8:0:1::5", "2001:db8:0:1::/64", true],
    ["2001:db8:0:2::5", "2001:db8:0:1::/64", false],
    ["::1", "0.0.0.0/0", false],
    ["10.0.0.1", "::/0", false],
  ])("%s in %s: %p", (address, range, expected) => {
    expect(inRange(address, range)).toBe(expected);
  });

  test.each(["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/ 8", "/8", "x/8", "fe80::1%eth0/64"])(
    "%p is none",
    (text) => {
      expect(parseRange(text)).toBeUndefined();
    },
  );
});

test("an IPv4-mapped address is the IPv4 one, and only that", () => {
  const of = (text: string) => formatAddress(unmapped(parseAddress(text) ?? new Uint8Array()));
  expect(of("::ffff:10.1.2.3")).toBe("10.1.2.3");
  expect(of("::fffe:10.1.2.3")).toBe("0:0:0:0:0:fffe:a01:203");
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:0:0:0:0/64"],
  ["2001:db8:1:2::", "2001:db8:1:2:0:0:0:0/64"],
  ["unknown", "unknown"],
])("rates of %s are counted by %s", (address, network) => {
  expect(addressNetwork(address)).toBe(network);
});
