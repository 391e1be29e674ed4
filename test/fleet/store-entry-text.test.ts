// Why: nodes of one fleet read what others wrote; every text comes back as it was, and strange text is refused.
import { expect, test } from "bun:test";
import { decodeAnnouncement, decodeStored, encodeEntry } from "@nexus/server/adapters/redis/entry-text.ts";
import type { Notification, StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";

const stream: StreamId = { kind: "channel", tenant: "acme", channel: "orders" };
const metadata = fc.record(
  { source: fc.string(), priority: fc.constant("Normal" as const), ttl: fc.nat() },
  { requiredKeys: ["source", "priority"] },
);
const notification = fc.record(
  { id: fc.uuid(), occurredAt: fc.nat(), eventType: fc.string(), payloadJson: fc.json(), metadata, trace: fc.string() },
  { requiredKeys: ["id", "occurredAt", "eventType", "payloadJson", "metadata"] },
) satisfies fc.Arbitrary<Notification>;

test("an entry comes back from its text as it was, stored or announced, line feeds and all", () => {
  const check = (sent: Notification) => {
    const position = { epoch: "e-1", offset: 7 };
    const text = encodeEntry(sent);
    expect(decodeStored(stream, position, text)).toEqual({ stream, notification: sent, position });
    expect(decodeAnnouncement(stream, `e-1 7\n${text}`)).toEqual({ stream, notification: sent, position });
    expect(decodeAnnouncement(stream, `\n${text}`)).toEqual({ stream, notification: sent });
  };
  fc.assert(fc.property(notification, check));
});

test("an older release reads the header of a traced entry, and this one takes no trace that is no text", () => {
  const sent = { id: "i", occurredAt: 1, eventType: "t", payloadJson: "null", metadata: { source: "s", priority: "Normal" as const } };
  const [, header = ""] = encodeEntry({ ...sent, trace: "00-x" }).split("\n");
  const [occurredAt, eventType, metadata] = JSON.parse(header) as unknown[]; // all that older releases look at
  expect([occurredAt, eventType, metadata]).toEqual([sent.occurredAt, sent.eventType, sent.metadata]);
  expect(decodeStored(stream, undefined, 'i\n[1,"t",{"source":"s","priority":"Normal"},{"a":1}]\nnull')?.notification).toEqual(sent);
});

test("text that no publish wrote is refused", () => {
  const whole = 'id\n[1,"t",{"source":"s","priority":"Normal"}]\nnull';
  expect(decodeAnnouncement(stream, `e 1\n${whole}`)?.notification.payloadJson).toBe("null");
  for (const place of ["e", "e 0", "e -1", "e 1.5", "e x", " 1", "not an epoch 1", "e 9007199254740993"]) {
    expect(decodeAnnouncement(stream, `${place}\n${whole}`)).toBeUndefined();
  }
  for (const body of ["", "id", "id\n", "id\n[1]\nnull", "id\n[1,2,3]\nnull", "id\n{\nnull", "id\nnull\nnull"]) {
    expect(decodeStored(stream, undefined, body)).toBeUndefined();
  }
});
