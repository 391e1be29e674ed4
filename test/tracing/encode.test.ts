// Why: what leaves is read here by hand, field by field, as opentelemetry-proto's trace.proto numbers them: the encoder is a
// library, and batches are put together from parts.
import { afterAll, expect, test } from "bun:test";
import { createOtlpSender } from "@nexus/tracing/otlp.ts";
import type { EndedSpan } from "@nexus/tracing/span.ts";

const bodies: Uint8Array[] = [];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    bodies.push(new Uint8Array(await request.arrayBuffer()));
    return new Response();
  },
});
afterAll(() => server.stop(true));

const send = createOtlpSender({
  target: () => ({ url: server.url.href, headers: async () => ({}) }),
  origin: { resource: { "service.name": "nexus-server" }, scope: { name: "nexus", version: "1.2.3" } },
  wait: async () => undefined,
  random: () => 1,
  now: Date.now,
  failed: (reason) => expect.unreachable(reason),
});

type Field = { readonly number: number; readonly bytes: Uint8Array; readonly value: bigint };

/** Fields of one protobuf message: lengths, varints and fixed numbers. */
function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, wire] = [tag >> 3, tag & 7];
    let value = 0n;
    let part = new Uint8Array();
    if (wire === 0) value = varint();
    else if (wire === 2) {
      const length = Number(varint());
      part = bytes.slice(at, at + length);
      at += length;
    } else if (wire === 1) {
      value = view.getBigUint64(at, true);
      at += 8;
    } else if (wire === 5) {
      value = BigInt(view.getUint32(at, true));
      at += 4;
    } else throw new Error(`wire type ${wire}`);
    found.push({ number, bytes: part, value });
  }
  return found;
}

const inside = (bytes: Uint8Array, number: number): readonly Uint8Array[] =>
  fieldsOf(bytes).flatMap((field) => (field.number === number ? [field.bytes] : []));
const spansOf = (request: Uint8Array) =>
  inside(request, 1) // resource_spans
    .flatMap((resource) => inside(resource, 2)) // scope_spans
    .flatMap((scope) => inside(scope, 2)); // spans
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const hexOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");

const id = (index: number, digits: number) => String(index + 1).padStart(digits, "0");
const span = (index: number, change: Partial<EndedSpan> = {}): EndedSpan => ({
  ...{ context: { traceId: id(index, 32), spanId: id(index, 16) }, parentSpanId: undefined, name: `span ${index}`, kind: "producer" },
  ...{ startMs: 1_700_000_000_000.25, endMs: 1_700_000_000_999 + 4095 / 4096, attributes: {}, links: [], error: undefined, ...change },
});

test("a batch of many parts holds every span once, in order", async () => {
  expect(
    await send(
      Array.from({ length: 150 }, (_, index) => span(index)),
      new AbortController().signal,
    ),
  ).toEqual({ rejected: 0 });
  const names = spansOf(bodies.pop() ?? expect.unreachable()).map((one) => textOf(inside(one, 5)[0]));
  expect(names).toEqual(Array.from({ length: 150 }, (_, index) => `span ${index}`));
});

test("a span says what it was: ids, state, parent, kind, times, attributes, links, error", async () => {
  const link = { traceId: "e".repeat(32), spanId: "f".repeat(16) };
  const context = { traceId: "a".repeat(32), spanId: "b".repeat(16), state: "vendor=opaque" };
  const facts = { "nexus.tenant": "acme", "nexus.sessions": 3, "nexus.replayed": true };
  await send(
    [span(0, { context, parentSpanId: "c".repeat(16), kind: "consumer", attributes: facts, links: [link], error: "rate_limited" })],
    new AbortController().signal,
  );
  const [one = expect.unreachable()] = spansOf(bodies.pop() ?? expect.unreachable());
  const field = (number: number) => fieldsOf(one).find((each) => each.number === number) ?? expect.unreachable();
  expect([hexOf(field(1).bytes), hexOf(field(2).bytes)]).toEqual([context.traceId, context.spanId]);
  expect([textOf(field(3).bytes), hexOf(field(4).bytes)]).toEqual(["vendor=opaque", "c".repeat(16)]);
  expect(field(6).value).toBe(5n); // SPAN_KIND_CONSUMER
  expect([field(7).value, field(8).value]).toEqual([1_700_000_000_000_250_000n, 1_700_000_001_000_000_000n]);
  expect(inside(one, 9).map((pair) => textOf(inside(pair, 1)[0]))).toEqual(Object.keys(facts));
  expect(inside(one, 13).map((linked) => hexOf(inside(linked, 1)[0]))).toEqual([link.traceId]);
  const [status = expect.unreachable()] = inside(one, 15);
  expect(fieldsOf(status).map(({ number, value, bytes }) => (number === 3 ? value : textOf(bytes)))).toEqual(["rate_limited", 2n]);
});
