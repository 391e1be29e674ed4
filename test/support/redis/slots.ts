// Why: tests have to know where a key lies to hit the right node. CRC-16/XMODEM of the tag, as Redis Cluster defines it.
// It must never be used on the way of what is tested.

/** The slot (0-16383) of a key, or of the tag between its braces when the key has one. */
export function slotOf(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % 16_384;
}
