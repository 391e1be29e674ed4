// Why: a tenant chooses the address its keys are fetched from; that must not turn the server into a way into its own
// network. One list says which addresses are the public internet. It must never resolve a name: what was checked is what
// is dialled.
import { type Address, type AddressRange, isInRange, parseRange } from "@nexus/protocol/addresses.ts";

const ranges = (...texts: string[]): readonly AddressRange[] =>
  texts.map((text) => {
    const range = parseRange(text);
    if (!range) throw new Error("a range of this table is no range");
    return range;
  });

/** Special-purpose IPv4 (IANA registry, RFC 6890): this host, private, CGNAT, loopback, link-local, tests, multicast, reserved. */
const NOT_PUBLIC_V4 = ranges(
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"],
  ...["192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
);
/** All of IPv6 that is routed publicly; ULA, link-local, loopback, IPv4-mapped and multicast lie outside. */
const PUBLIC_V6 = ranges("2000::/3");
/** Inside it: protocol assignments with Teredo, documentation, and 6to4, which carries any IPv4 address within. */
const NOT_PUBLIC_V6 = ranges("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20");
/** NAT64 (RFC 6052): the last four bytes are the IPv4 address that is really dialled. */
const NAT64 = ranges("64:ff9b::/96");

const isIn = (address: Address, list: readonly AddressRange[]): boolean => list.some((range) => isInRange(address, range));

/** Whether an address may be dialled for somebody who is not trusted with the cluster's own network. */
export function isPublicAddress(address: Address): boolean {
  if (address.length === 4) return !isIn(address, NOT_PUBLIC_V4);
  if (isIn(address, NAT64)) return isPublicAddress(address.slice(12));
  return isIn(address, PUBLIC_V6) && !isIn(address, NOT_PUBLIC_V6);
}
