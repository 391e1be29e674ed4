// Why: IP addresses and ranges as values, so that "is this address one of ours?" has one answer everywhere: trusted
// proxies, private networks, rates per network. It must never resolve a name.
import { isIPv4, isIPv6 } from "node:net";

/** 4 bytes of an IPv4 address, or 16 of an IPv6 one. */
export type Address = Uint8Array;
export type AddressRange = { readonly base: Address; readonly bits: number };

const V4_BYTES = 4;
const V6_BYTES = 16;
/** How much of an IPv6 address one customer has at the least (RFC 6177): whoever holds one holds 2^64. */
const V6_NETWORK_BITS = 64;

/** Reads an address as text, zone (`%eth0`) included; undefined for anything else. IPv4-mapped IPv6 stays IPv6. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  const [plain = ""] = text.split("%");
  return isIPv6(plain) ? parseV6(plain) : undefined;
}

function parseV6(text: string): Address {
  const [head = "", tail] = text.split("::");
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const groups = [...left, ...Array<number>(V6_BYTES / 2 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** 16-bit groups; an IPv4 address at the end is two of them. */
function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** `10.0.0.0/8`, `2001:db8::/32`, or a bare address for itself alone; undefined for anything else. Host bits may be set. */
export function parseRange(text: string): AddressRange | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const base = parseAddress(address);
  if (!base || rest.length > 0 || address.includes("%")) return undefined;
  if (length === undefined) return { base, bits: base.length * 8 };
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  return bits <= base.length * 8 ? { base, bits } : undefined;
}

/** Whether the address lies in the range; never across families. */
export function isInRange(address: Address, { base, bits }: AddressRange): boolean {
  if (address.length !== base.length) return false;
  for (let at = 0; at * 8 < bits; at++) {
    const mask = bits - at * 8 >= 8 ? 255 : 256 - 2 ** (8 - (bits - at * 8));
    if (((address[at] ?? 0) & mask) !== ((base[at] ?? 0) & mask)) return false;
  }
  return true;
}

const MAPPED: AddressRange = { base: parseV6("::ffff:0:0"), bits: 96 };

/** The IPv4 address inside an IPv4-mapped one (a listener on `::` sees those); every other address as it is. */
export const unmapped = (address: Address): Address => (isInRange(address, MAPPED) ? address.slice(V6_BYTES - V4_BYTES) : address);

/** One text per address: IPv4-mapped as IPv4, IPv6 in eight groups without zone. */
export function formatAddress(address: Address): string {
  if (address.length === V4_BYTES) return address.join(".");
  const groups: string[] = [];
  for (let at = 0; at < V6_BYTES; at += 2) groups.push((((address[at] ?? 0) << 8) | (address[at + 1] ?? 0)).toString(16));
  return groups.join(":");
}

/** What rates are counted by: an IPv4 address, or the /64 of an IPv6 one. A text that is no address stands for itself. */
export function addressNetwork(text: string): string {
  if (isIPv4(text)) return text;
  const parsed = parseAddress(text);
  if (!parsed) return text;
  const address = unmapped(parsed);
  if (address.length === V4_BYTES) return formatAddress(address);
  return `${formatAddress(address.map((byte, at) => (at * 8 < V6_NETWORK_BITS ? byte : 0)))}/${V6_NETWORK_BITS}`;
}
