import { beforeAll, expect, test } from "bun:test";
import { createTransport, type Transport, type TransportMetrics } from "@nexus/operator/kube/transport.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import { type Authority, createAuthority, type KeyPair } from "../../support/cluster/pki.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { type ScriptedApi, startScriptedApi, status, watchStream } from "../../support/kube/scripted-api.ts";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

let ours: Authority;
let theirs: Authority;
let serving: KeyPair;
beforeAll(async () => {
  [ours, theirs] = await Promise.all([createAuthority("ours"), createAuthority("theirs")]);
  serving = await ours.issue({ commonName: "api", hosts: ["127.0.0.1"] });
});

const ok = () => Response.json({ ok: true });
const get = (transport: Transport, timeoutMs?: number) =>
  transport.request({ method: "GET", path: "/x?limit=1", ...(timeoutMs ? { timeoutMs } : {}) });
const failure = async (work: Promise<unknown>): Promise<KubeError> => {
  const error: unknown = await work.then(
    () => new Error("it succeeded"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof KubeError) return error;
  throw error;
};
const transportTo = (api: ScriptedApi, tls?: Parameters<ScriptedApi["access"]>[0]) =>
  createTransport({ access: api.access(tls), userAgent: "nexus-test/1" });

test("trusts only the pinned authority, also after the right one opened a connection", async () => {
  await using api = await startScriptedApi(ok, serving);
  expect((await get(transportTo(api, { ca: ours.certPem }))).body).toEqual({ ok: true });
  for (const tls of [{ ca: theirs.certPem }, {}]) {
    expect(await failure(get(transportTo(api, tls)))).toMatchObject({ status: 0, reason: "Network" });
  }
  expect(await failure(get(transportTo(api, { ca: ours.certPem, serverName: "other.example" })))).toMatchObject({ reason: "Network" });
  expect(api.seen).toHaveLength(1); // no credential was sent to anyone else
  expect((await get(transportTo(api, { rejectUnauthorized: false }))).status).toBe(200);
});

test("shows its client certificate, and is refused without one", async () => {
  await using api = await startScriptedApi(ok, { ...serving, clientCaPem: ours.certPem });
  const client = await ours.issue({ commonName: "operator" });
  expect((await get(transportTo(api, { ca: ours.certPem, cert: client.certPem, key: client.keyPem }))).status).toBe(200);
  expect(await failure(get(transportTo(api, { ca: ours.certPem })))).toMatchObject({ status: 0 });
});

test("reads credentials again after 60 s, and at once after a 401, once", async () => {
  let valid = "t0";
  await using api = await startScriptedApi((request) =>
    request.headers.get("authorization") === `Bearer ${valid}` ? ok() : status(401, "Unauthorized"),
  );
  const clock = new ManualClock();
  const file = { token: "t0", reads: 0 };
  const credentials = async () => {
    file.reads++;
    return { tls: {}, headers: { Authorization: `Bearer ${file.token}` } };
  };
  const transport = createTransport({ access: { ...api.access(), credentials }, userAgent: "u", clock });
  await get(transport);
  await get(transport);
  expect(file.reads).toBe(1);
  file.token = valid = "t1"; // rotated
  expect((await get(transport)).status).toBe(200);
  expect(file.reads).toBe(2);
  await clock.advance(60_000);
  await get(transport);
  expect(file.reads).toBe(3);
  valid = "somebody else's";
  expect(await failure(get(transport))).toMatchObject({ status: 401, reason: "Unauthorized" });
  expect(file.reads).toBe(4);
});

test("waits for Retry-After on 429, and gives up with it when the deadline is nearer", async () => {
  let refusals = 2;
  await using api = await startScriptedApi(() => (refusals-- > 0 ? status(429, "TooManyRequests", {}, { "Retry-After": "3" }) : ok()));
  const clock = new ManualClock();
  const transport = createTransport({ access: api.access(), userAgent: "u", clock, random: () => 0 });
  const answer = get(transport);
  const settled = { done: false };
  void answer.then(() => {
    settled.done = true;
  });
  await eventually("the first refusal arrived", () => api.seen.length === 1 && clock.pending === 2);
  await clock.advance(2_999);
  expect(api.seen).toHaveLength(1);
  await clock.advance(1);
  await eventually("the second refusal arrived", () => api.seen.length === 2 && clock.pending === 2);
  await clock.advance(3_000);
  expect((await answer).status).toBe(200);
  refusals = 1;
  expect(await failure(get(transport, 2_000))).toMatchObject({ status: 429, retryAfterSeconds: 3 });
});

test("a write that met an error other than 401 and 429 is never sent twice", async () => {
  for (const code of [409, 500, 503, 504]) {
    await using api = await startScriptedApi(() => status(code, "No"));
    const error = await failure(transportTo(api).request({ method: "POST", path: "/x", body: { a: 1 } }));
    expect(error.status).toBe(code);
    expect(api.seen.map((request) => [request.method, request.body])).toEqual([["POST", '{"a":1}']]);
  }
});

test("a POST or PATCH whose connection breaks before the answer is not repeated", async () => {
  await using api = await startScriptedApi(ok);
  await using proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(api.server).port) });
  const access = { ...api.access(), server: `http://127.0.0.1:${proxy.port}` };
  const transport = createTransport({ access, userAgent: "u" });
  for (const method of ["POST", "PATCH"] as const) {
    proxy.accept();
    await get(transport); // a connection to reuse
    const [before, swallowed] = [proxy.accepted, proxy.swallowed];
    proxy.stall();
    const failed = failure(transport.request({ method, path: "/w", body: {}, timeoutMs: 5_000 }));
    await eventually("the request is under way", () => proxy.swallowed > swallowed);
    proxy.refuse();
    expect(await failed).toMatchObject({ status: 0, reason: "Network" });
    expect(proxy.accepted).toBe(before);
  }
});

test("a call that gets no answer ends at its deadline, before and inside the body", async () => {
  const quiet = watchStream();
  await using api = await startScriptedApi((request) =>
    request.query.has("body") ? quiet.response : new Promise<Response>(() => undefined),
  );
  for (const path of ["/x", "/x?body=1"]) {
    const clock = new ManualClock();
    const transport = createTransport({ access: api.access(), userAgent: "u", clock });
    const before = api.seen.length;
    const failed = failure(transport.request({ method: "GET", path, timeoutMs: 1_000 }));
    await eventually("the request arrived", () => api.seen.length === before + 1);
    await clock.advance(1_000);
    expect(await failed).toMatchObject({ status: 0, reason: "Timeout" });
    expect(clock.pending).toBe(0);
  }
});

test("a process that was stopped past the deadline while it read credentials sends nothing when it runs on", async () => {
  await using api = await startScriptedApi(ok);
  let nowMs = 0;
  // A clock whose timers never get their turn before the code that is already due.
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined };
  const access = api.access();
  const credentials = async () => {
    nowMs += 20_000;
    return await access.credentials();
  };
  const transport = createTransport({ access: { ...access, credentials }, userAgent: "u", clock });
  expect(await failure(transport.request({ method: "PATCH", path: "/x", body: {}, timeoutMs: 9_000 }))).toMatchObject({
    reason: "Timeout",
  });
  expect(api.seen).toEqual([]);
});

test("an abort ends a call as Aborted, also before it began", async () => {
  await using api = await startScriptedApi(() => new Promise<Response>(() => undefined));
  const stop = new AbortController();
  const failed = failure(transportTo(api).request({ method: "GET", path: "/x", signal: stop.signal }));
  await eventually("the request arrived", () => api.seen.length === 1);
  stop.abort();
  expect(await failed).toMatchObject({ status: 0, reason: "Aborted" });
  expect(await failure(transportTo(api).request({ method: "GET", path: "/x", signal: stop.signal }))).toMatchObject({ reason: "Aborted" });
  expect(api.seen).toHaveLength(1);
});

test("names refusals by the Status, a proxy's page only by its code, and nonsense as Malformed", async () => {
  const causes = [{ reason: "FieldValueInvalid", field: "spec.x", message: "no" }];
  const answers: Record<string, () => Response> = {
    "/invalid": () => status(422, "Invalid", { details: { causes } }),
    "/page": () => new Response("<html>secret of the proxy</html>", { status: 502 }),
    "/text": () => new Response("not json"),
    "/moved": () => Response.redirect("http://127.0.0.1:1/elsewhere", 302),
  };
  await using api = await startScriptedApi((request) => answers[request.path]?.() ?? ok());
  const ask = (path: string) => failure(transportTo(api).request({ method: "GET", path }));
  expect(await ask("/invalid")).toMatchObject({ status: 422, reason: "Invalid", causes });
  const proxied = await ask("/page");
  expect(proxied.status).toBe(502);
  expect(proxied.message).not.toContain("secret");
  expect(await ask("/text")).toMatchObject({ status: 0, reason: "Malformed" });
  expect((await ask("/moved")).status).toBe(0); // credentials do not follow
});

test("no error carries the token", async () => {
  await using api = await startScriptedApi(() => status(403, "Forbidden"));
  const transport = createTransport({ access: api.access({}, "very-secret"), userAgent: "u" });
  const errors = [await failure(get(transport))];
  const nowhere = { ...api.access({}, "very-secret"), server: "https://127.0.0.1:1" };
  errors.push(await failure(get(createTransport({ access: nowhere, userAgent: "u" }))));
  for (const error of errors) expect(Bun.inspect(error)).not.toContain("very-secret");
});

test("counts every exchange by code, method and host", async () => {
  await using api = await startScriptedApi((request) => (request.path === "/no" ? status(404, "NotFound") : ok()));
  const samples: string[] = [];
  const metrics: TransportMetrics = {
    request: (sample) => {
      expect(sample.seconds).toBeGreaterThanOrEqual(0);
      samples.push(`${sample.method} ${sample.code} ${sample.host === new URL(api.server).host}`);
    },
  };
  const transport = createTransport({ access: api.access(), userAgent: "u", metrics });
  await transport.request({ method: "PATCH", path: "/yes", body: {} });
  await failure(transport.request({ method: "GET", path: "/no" }));
  const nowhere = { ...api.access(), server: "http://127.0.0.1:1" };
  await failure(createTransport({ access: nowhere, userAgent: "u", metrics }).request({ method: "GET", path: "/" }));
  expect(samples).toEqual(["PATCH 200 true", "GET 404 true", "GET <error> false"]);
});

test("a stream yields whole lines whatever the chunks, characters cut in half included", async () => {
  const watch = watchStream();
  await using api = await startScriptedApi(() => watch.response);
  const lines: string[] = [];
  const streaming = transportTo(api).stream({ method: "GET", path: "/w" }, (line) => lines.push(line));
  const bytes = new TextEncoder().encode('{"a":"é😀"}\n\n{"b":1}\n');
  for (const byte of bytes) watch.send(Uint8Array.of(byte));
  await eventually("both lines", () => lines.length === 2);
  watch.end();
  await streaming;
  expect(lines).toEqual(['{"a":"é😀"}', '{"b":1}']);
});

test("a stream that is torn, ends inside a line, or holds an endless line fails", async () => {
  const ends: Record<string, (watch: ReturnType<typeof watchStream>, proxy: TcpProxy) => void> = {
    torn: (_, proxy) => proxy.cut(),
    half: (watch) => {
      watch.send('{"a":');
      watch.end();
    },
    endless: (watch) => watch.send("x".repeat(2000)),
  };
  for (const [name, end] of Object.entries(ends)) {
    const watch = watchStream();
    await using api = await startScriptedApi(() => watch.response);
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(api.server).port) });
    const access = { ...api.access(), server: `http://127.0.0.1:${proxy.port}` };
    const transport = createTransport({ access, userAgent: "u", maxLineBytes: 1000 });
    let isOpen = false;
    const failed = failure(
      transport.stream(
        { method: "GET", path: "/w" },
        () => undefined,
        () => {
          isOpen = true;
        },
      ),
    );
    await eventually("headers", () => isOpen);
    end(watch, proxy);
    expect([name, (await failed).reason]).toEqual([name, "Network"]);
  }
});

test("the deadline of a stream covers its headers, not its life; an abort ends it on the server too", async () => {
  const watch = watchStream();
  await using api = await startScriptedApi(() => watch.response);
  const clock = new ManualClock();
  const transport = createTransport({ access: api.access(), userAgent: "u", clock });
  const stop = new AbortController();
  const lines: string[] = [];
  let isOpen = false;
  const failed = failure(
    transport.stream(
      { method: "GET", path: "/w", timeoutMs: 1_000, signal: stop.signal },
      (line) => lines.push(line),
      () => {
        isOpen = true;
      },
    ),
  );
  await eventually("headers", () => isOpen);
  await clock.advance(3_600_000);
  watch.send("1\n");
  await eventually("a line after an hour", () => lines.length === 1);
  stop.abort();
  expect(await failed).toMatchObject({ reason: "Aborted" });
  await eventually("the server saw the hang-up", () => watch.cancelled);
});
