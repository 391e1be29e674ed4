// Why: the operator's port as the operator meets it: real TLS, real tokens, pushes that end in acknowledgements.
import { describe, expect, test } from "bun:test";
import { connect, type TLSSocket } from "node:tls";
import { zstdCompressSync } from "node:zlib";
import { ADMIN_PATHS, AdminStatus, type NodeLoad, type PushRequest } from "@nexus/protocol/admin.ts";
import { type BundleEntry, makeBuckets } from "@nexus/protocol/bundle.ts";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import { clusterEntry, digestOfAll, secretIssuer, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { ADMIN_NAME, ADMIN_TOKEN, type AdminFiles, adminFiles, type RealServer, startRealServer } from "../../support/real-server.ts";
import { TOKEN_SECRET, token } from "../../support/rest.ts";
import { WsClient } from "../../support/ws-client.ts";

type Sent = {
  readonly method?: string;
  readonly body?: unknown;
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
  readonly token?: string;
};

async function pod() {
  const files = await adminFiles();
  const real = await startRealServer({ env: files.env });
  const ask = async (path: string, { method = "GET", body, raw, headers = {}, token = ADMIN_TOKEN }: Sent = {}) => {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const answer = await fetch(`https://127.0.0.1:${real.server.adminPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
      ...(content === undefined ? {} : { body: content }),
      tls: { ca: files.ca, serverName: ADMIN_NAME },
      keepalive: false,
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> }; // all are objects
  };
  return {
    real,
    files,
    ask,
    push: (request: unknown) => ask(ADMIN_PATHS.bundle, { method: "POST", body: request }),
    async [Symbol.asyncDispose]() {
      await real[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    },
  };
}

const whole = (entries: readonly BundleEntry[], change: Partial<PushRequest> = {}): PushRequest => ({
  ...{ format: 1, term: "5", sequence: 1, digest: digestOfAll(entries) },
  buckets: makeBuckets(entries)
    .filter((bucket) => bucket.entries.length > 0)
    .map(({ index, digest, entries: all }) => ({ index, from: "0".repeat(64), to: digest, full: true, entries: all, removed: [] })),
  ...change,
});
const entries = [clusterEntry(), tenantEntry("acme"), templateEntry("acme", "welcome")];

describe("pushes over the wire", () => {
  test("make the node ready, are acknowledged, and show in the status", async () => {
    await using node = await pod();
    expect((await fetch(`${node.real.opsUrl}/ready`)).status).toBe(503);
    const before = await node.ask(ADMIN_PATHS.status);
    expect(Value.Check(AdminStatus, before.body)).toBe(true);
    expect(before.body).toMatchObject({ ready: false, draining: false, sessions: 0, term: "0", sequence: 0, bundle_formats: [1] });
    expect(await node.push(whole(entries))).toMatchObject({ status: 200, body: { digest: digestOfAll(entries), rejected: [] } });
    expect((await node.ask(ADMIN_PATHS.status)).body).toMatchObject({ ready: true, term: "5", sequence: 1, digest: digestOfAll(entries) });
    expect((await fetch(`${node.real.opsUrl}/ready`)).status).toBe(200);
  });

  test("may be compressed; what is not zstd, or too large, is refused", async () => {
    await using node = await pod();
    const headers = { "content-encoding": "zstd" };
    const send = (raw: Uint8Array) => node.ask(ADMIN_PATHS.bundle, { method: "POST", raw: raw.slice(), headers });
    expect((await send(zstdCompressSync(Buffer.from(JSON.stringify(whole(entries)))))).status).toBe(200);
    expect(await send(Buffer.from("nonsense"))).toMatchObject({ status: 400, body: { code: "invalid_json" } });
    expect(await send(zstdCompressSync(Buffer.alloc(65 * 1024 * 1024, 0x20)))).toMatchObject({
      status: 413,
      body: { code: "payload_too_large" },
    });
    const gzip = await node.ask(ADMIN_PATHS.bundle, { method: "POST", raw: "{}", headers: { "content-encoding": "gzip" } });
    expect(gzip).toMatchObject({ status: 415 });
  });

  test("answer 409 with our digests, 412 with the younger leader, 422 with a pointer", async () => {
    await using node = await pod();
    await node.push(whole(entries, { term: "9" }));
    const delta = whole([templateEntry("acme", "welcome", {}, 2)], { term: "9", sequence: 2 });
    const [bucket] = delta.buckets;
    const mismatch = await node.push({ ...delta, buckets: [{ ...bucket, full: false }] });
    expect(mismatch).toMatchObject({
      status: 409,
      body: { code: "bundle_mismatch", digest: digestOfAll(entries), buckets: [{ index: bucket?.index }] },
    });
    expect(await node.push(whole(entries, { term: "8" }))).toMatchObject({
      status: 412,
      body: { code: "stale_leader", term: "9", sequence: 2 },
    });
    expect(await node.push({ ...delta, term: "x" })).toMatchObject({ status: 422, body: { errors: [{ pointer: "/term" }] } });
    expect(await node.push({ ...delta, digest: undefined })).toMatchObject({ status: 422 });
  });

  test("garbage never becomes a 5xx and changes nothing", async () => {
    await using node = await pod();
    await node.push(whole(entries));
    const digest = node.real.server.live.digest();
    const mutated = fc.record({ key: fc.constantFrom("format", "term", "sequence", "digest", "buckets"), value: fc.jsonValue() });
    const body = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      mutated.map(({ key, value }) => JSON.stringify({ ...whole(entries, { sequence: 2 }), [key]: value })),
      mutated.map(({ value }) => {
        const request = whole(entries, { sequence: 2 });
        return JSON.stringify({ ...request, buckets: request.buckets.map((bucket) => ({ ...bucket, entries: [value] })) });
      }),
    );
    await fc.assert(
      fc.asyncProperty(body, async (raw) => {
        const { status } = await node.ask(ADMIN_PATHS.bundle, { method: "POST", raw });
        expect(status).toBeLessThan(500);
        expect(node.real.server.live.digest()).toBe(digest);
      }),
      { numRuns: 200 },
    );
  }, 30_000);
});

describe("access", () => {
  test("needs a token of the file, on every path", async () => {
    await using node = await pod();
    for (const path of [...Object.values(ADMIN_PATHS), "/nothing"]) {
      for (const token of ["wrong-token-of-some-length", ""]) {
        expect(await node.ask(path, { token })).toMatchObject({ status: 401, body: { code: "unauthorized" } });
      }
    }
    expect(await node.ask("/nothing")).toMatchObject({ status: 404 });
    const wrong = await node.ask(ADMIN_PATHS.bundle);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("follows the token file, with overlap, and keeps the old one when the new is empty", async () => {
    await using node = await pod();
    const status = async (token: string) => (await node.ask(ADMIN_PATHS.status, { token })).status;
    await node.files.writeTokens(ADMIN_TOKEN, "the-next-token-of-the-port");
    await eventually("the new token", async () => (await status("the-next-token-of-the-port")) === 200);
    expect(await status(ADMIN_TOKEN)).toBe(200);
    await node.files.writeTokens("the-next-token-of-the-port");
    await eventually("the old token to go", async () => (await status(ADMIN_TOKEN)) === 401);
    node.real.expectErrors("admin.reread_failed");
    await node.files.writeTokens("short");
    await eventually("the complaint", () => node.real.lines.some(({ event }) => event === "admin.reread_failed"));
    expect(await status("the-next-token-of-the-port")).toBe(200);
  });

  test("gets the renewed certificate on new connections; a broken pair is not taken", async () => {
    await using node = await pod();
    const port = node.real.server.adminPort ?? 0;
    const first = await serial(node.files, port);
    await node.files.renew();
    await eventually("the renewed certificate", async () => (await serial(node.files, port)) !== first);
    const second = await serial(node.files, port);
    expect((await node.ask(ADMIN_PATHS.status)).status).toBe(200);
    node.real.expectErrors("admin.reread_failed");
    await node.files.breakPair();
    await eventually("the complaint", () => node.real.lines.some(({ event }) => event === "admin.reread_failed"));
    expect(await serial(node.files, port)).toBe(second);
  });

  test("a server does not start with files that cannot be used", async () => {
    await using files = await adminFiles();
    await files.breakPair();
    expect(startRealServer({ env: files.env })).rejects.toThrow("do not belong together");
    expect(startRealServer({ env: { ...files.env, NEXUS_ADMIN_TOKEN_FILE: "/nowhere" } })).rejects.toThrow();
  });
});

test("the log level changes at run time, by the port and by the cluster's entry", async () => {
  await using node = await pod();
  const set = (level: unknown) => node.ask(ADMIN_PATHS.logLevel, { method: "POST", body: { level } });
  expect(await set("warn")).toMatchObject({ status: 200, body: { level: "warn" } });
  expect(await set("loud")).toMatchObject({ status: 422, body: { errors: [{ pointer: "/level" }] } });
  const forTooLong = await node.ask(ADMIN_PATHS.logLevel, { method: "POST", body: { level: "debug", minutes: 1441 } });
  expect(forTooLong).toMatchObject({ status: 422, body: { errors: [{ pointer: "/minutes" }] } });
  await node.push(whole([clusterEntry({ log_level: "info" })]));
  const seen = await eventually("a line at level info", () => node.real.lines.some(({ event }) => event === "config.applied"));
  expect(seen).toBe(true);
});

test("drain answers at once, turns readiness off and ends the server", async () => {
  const node = await pod();
  await node.push(whole(entries));
  expect(await node.ask(ADMIN_PATHS.drain, { method: "POST" })).toMatchObject({ status: 202, body: { draining: true, sessions: 0 } });
  await eventually("the end of the public port", () => isRefused(node.real));
  expect(node.real.server.readiness.reasons()).toContain("draining");
  await node[Symbol.asyncDispose]();
});

test("shed sends that many away at the rate it was told, and the status says how loaded the node is", async () => {
  await using node = await pod();
  await node.push(
    whole([clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 } }), tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)] })]),
  );
  const open: WsClient[] = [];
  for (let i = 0; i < 20; i++) open.push(await WsClient.connect(`${node.real.url}/ws?token=${await token(`u${i}`)}`));
  const before = (await node.ask(ADMIN_PATHS.status)).body;
  expect(Value.Check(AdminStatus, before)).toBe(true);
  expect(before).toMatchObject({ sessions: 20, load: { sessions_opened: 20, sessions_refused: 0 } });
  const load = before.load as NodeLoad; // checked above
  expect(load.rss_bytes).toBeGreaterThan(10e6);
  expect(load.accepts_per_second).toBeGreaterThan(0);
  const startedMs = performance.now();
  expect(await node.ask(ADMIN_PATHS.shed, { method: "POST", body: { sessions: 8, perSecond: 20 } })).toMatchObject({
    status: 202,
    body: { sessions: 8 },
  });
  const sent = await eventually("eight were sent away", () => {
    const closed = open.filter((one) => one.closed);
    return closed.length === 8 && closed;
  });
  expect(performance.now() - startedMs).toBeGreaterThan(300); // 8 at 20 a second
  for (const { closed, frames } of sent) {
    expect(closed?.code).toBe(4000);
    expect(frames.find(({ type }) => type === "shutdown")).toBeDefined();
  }
  await eventually("it counts twelve", async () => (await node.ask(ADMIN_PATHS.status)).body.sessions === 12);
  expect((await node.ask(ADMIN_PATHS.shed, { method: "POST", body: { sessions: 0, perSecond: 1 } })).body).toEqual({ sessions: 0 });
  for (const body of [{}, { sessions: -1, perSecond: 1 }, { sessions: 1, perSecond: 0 }, { sessions: 1.5, perSecond: 1 }, []])
    expect(await node.ask(ADMIN_PATHS.shed, { method: "POST", body })).toMatchObject({ status: 422, body: { code: "validation_error" } });
  for (const one of open) await one[Symbol.asyncDispose]();
});

const isRefused = (real: RealServer): Promise<boolean> =>
  fetch(`${real.url}/health`).then(
    () => false,
    () => true,
  );

/** Serial number of the certificate a new connection gets. @throws Error when the connection is refused */
function serial(files: AdminFiles, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: "127.0.0.1", port, ca: files.ca, servername: ADMIN_NAME }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
