// Why: what a collector may answer, and what becomes of a batch then; over real HTTP, with time that does not pass by itself.
import { afterEach, describe, expect, test } from "bun:test";
import { createOtlpSender, parseHeaders, tracesUrl } from "@nexus/tracing/otlp.ts";
import type { EndedSpan } from "@nexus/tracing/span.ts";
import { eventually } from "../support/eventually.ts";

const SPAN: EndedSpan = {
  ...{
    context: { traceId: "1".repeat(32), spanId: "2".repeat(16) },
    parentSpanId: "3".repeat(16),
    name: "publish inbox",
    kind: "producer",
  },
  ...{ startMs: 1_700_000_000_000.25, endMs: 1_700_000_000_001.5, attributes: { "nexus.tenant": "acme" }, links: [], error: undefined },
};
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.stop();
});

type Got = { readonly path: string; readonly headers: Headers; readonly bytes: number };

function stage(answers: readonly ((request: Request) => Response | Promise<Response>)[], options: { readonly timeoutMs?: number } = {}) {
  const got: Got[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = await request.arrayBuffer();
      got.push({ path: new URL(request.url).pathname, headers: request.headers, bytes: body.byteLength });
      const answer = answers[Math.min(got.length, answers.length) - 1];
      return answer ? await answer(request) : new Response();
    },
  });
  open.push({ stop: () => server.stop(true) });
  const waits: number[] = [];
  const told: string[] = [];
  const url = tracesUrl(server.url.href) ?? expect.unreachable();
  const send = createOtlpSender({
    target: () => ({ url, headers: async () => ({ authorization: "Bearer planted" }) }),
    origin: { resource: { "service.name": "nexus-server" }, scope: { name: "nexus", version: "1" } },
    wait: async (ms) => void waits.push(ms),
    random: () => 1,
    now: () => Date.UTC(2026, 0, 1),
    failed: (reason) => told.push(reason),
    ...options,
  });
  const signal = new AbortController().signal;
  return { got, waits, told, server, send: (abort = signal) => send([SPAN, SPAN, SPAN], abort) };
}

const status =
  (code: number, headers: Record<string, string> = {}, body = "") =>
  () =>
    new Response(body, { status: code, headers });

describe("a batch", () => {
  test("is posted as protobuf, with the headers of the file", async () => {
    const { send, got } = stage([status(200)]);
    expect(await send()).toEqual({ rejected: 0 });
    expect(got[0]?.path).toBe("/v1/traces");
    expect(got[0]?.headers.get("content-type")).toBe("application/x-protobuf");
    expect(got[0]?.headers.get("authorization")).toBe("Bearer planted");
    expect(got[0]?.bytes).toBeGreaterThan(200);
  });

  test.each([429, 502, 503, 504])("is tried again after %d, ever later", async (code) => {
    const { send, waits, told } = stage([status(code), status(code), status(code), status(200)]);
    expect(await send()).toEqual({ rejected: 0 });
    expect(waits).toEqual([1000, 2000, 4000]);
    expect(told).toEqual([]);
  });

  test("is given up after five tries, and told once", async () => {
    const { send, got, waits, told } = stage([status(503)]);
    expect(await send()).toEqual({ rejected: 3 });
    expect([got.length, waits.length]).toEqual([5, 4]);
    expect(told).toEqual(["the collector answered 503"]);
  });

  test.each([400, 401, 403, 404, 413, 500, 301])("is not tried again after %d", async (code) => {
    const { send, got, told } = stage([status(code, { location: "http://127.0.0.1:1/elsewhere" })]);
    expect(await send()).toEqual({ rejected: 3 });
    expect(got.length).toBe(1);
    expect(told).toEqual([`the collector answered ${code}`]);
  });

  test.each([
    ["7", 7000],
    ["Thu, 01 Jan 2026 00:00:12 GMT", 12_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["86400", 30_000],
    ["soon", 1000],
  ])("waits as Retry-After: %s asks, within reason", async (header, expected) => {
    const { send, waits } = stage([status(429, { "retry-after": header }), status(200)]);
    await send();
    expect(waits).toEqual([expected]);
  });

  test("that was taken in part counts the rest, and is not sent again", async () => {
    // ExportTraceServiceResponse{partial_success{rejected_spans: 2, error_message: "no"}}
    const { send, got, told } = stage([() => new Response(new Uint8Array([0x0a, 0x06, 0x08, 0x02, 0x12, 0x02, 0x6e, 0x6f]))]);
    expect(await send()).toEqual({ rejected: 2 });
    expect(got.length).toBe(1);
    expect(told).toEqual(["the collector refused 2 spans: no"]);
  });

  test("is taken when the answer is 200 and no protobuf", async () => {
    const { send } = stage([status(200, {}, "thank you \u0000\u00ff")]);
    expect(await send()).toEqual({ rejected: 0 });
  });

  test("is tried again when nobody is there, and no credential is told", async () => {
    const { send, server, waits, told } = stage([status(200)]);
    await server.stop(true);
    expect(await send()).toEqual({ rejected: 3 });
    expect(waits.length).toBe(4);
    expect(told.length).toBe(1);
    expect(told.join()).not.toContain("planted");
  });

  test("does not wait for a collector that never answers", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { send, waits } = stage([() => promise.then(() => new Response())], { timeoutMs: 20 });
    expect(await send()).toEqual({ rejected: 3 });
    expect(waits.length).toBe(4);
    resolve();
  });

  test("reads no endless answer", async () => {
    let cancelled = false;
    const endless = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(16_384)),
          cancel: () => {
            cancelled = true;
          },
        }),
        { status: 400 },
      );
    const { send } = stage([endless]);
    expect(await send()).toEqual({ rejected: 3 });
    await eventually("it was told to stop", () => cancelled);
  });

  test("ends when the process does", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const closing = new AbortController();
    const { send, got } = stage([
      () => {
        closing.abort();
        return promise;
      },
    ]);
    expect(await send(closing.signal)).toEqual({ rejected: 3 });
    expect(got.length).toBe(1);
    resolve(new Response());
  });
});

describe("where it goes", () => {
  test.each([
    ["http://otel:4318", "http://otel:4318/v1/traces"],
    ["http://otel:4318/", "http://otel:4318/v1/traces"],
    ["https://x.example/otlp", "https://x.example/otlp/v1/traces"],
    ["https://x.example/otlp/v1/traces?a=b", "https://x.example/otlp/v1/traces?a=b"],
  ])("%s means %s", (endpoint, url) => {
    expect(tracesUrl(endpoint)).toBe(url);
  });

  test.each(["", "otel:4318", "http://", "file:///etc/passwd", "https://me:secret@x.example"])("%p is nowhere", (endpoint) => {
    expect(tracesUrl(endpoint)).toBeUndefined();
  });
});

describe("headers of the file", () => {
  test("are pairs, by commas or lines", () => {
    expect(parseHeaders("authorization=Bearer%20abc%3D,X-Scope=acme\n\nz = 1 \n")).toEqual({
      ...{ authorization: "Bearer abc=", "x-scope": "acme", z: "1" },
    });
    expect(parseHeaders("")).toEqual({});
  });

  test.each(["planted", "=planted", "a b=planted", "a=planted%0d%0ax: y", "a=planted%"])(
    "%p is told apart without repeating it",
    (text) => {
      expect(() => parseHeaders(`good=1,${text}`)).toThrow(/header 2/);
      expect(() => parseHeaders(`good=1,${text}`)).not.toThrow(/planted/);
    },
  );
});
