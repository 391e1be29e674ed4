// Why: curl is what people try a server with, and it hides nothing: every header of every answer is on the screen. Where there
// is no curl this says so and runs nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/host/command.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { type RealServer, startRealServer } from "../support/real-server.ts";
import { signed } from "./support/token.ts";

const hasCurl = Bun.which("curl") !== null;
if (!hasCurl) process.stderr.write("skipped: curl is not installed\n");

const SECRET = "a secret that signs tokens here";
const KEY = "key-of-acme";
const ENTRIES = [
  clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 } }),
  tenantEntry("acme", { api_keys: [apiKey("backend", KEY)], issuers: [secretIssuer(SECRET)] }),
];

type Answer = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: string };

describe.skipIf(!hasCurl)("curl", () => {
  let real: RealServer;
  let folder: string;
  beforeAll(async () => {
    real = await startRealServer({ entries: ENTRIES });
    folder = await mkdtemp(join(tmpdir(), "nexus-curl-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await real[Symbol.asyncDispose](); // last: it throws when the server logged an error
  });

  /** `--disable`: nobody's settings. A socket never ends by itself, so the time is bounded and running out is no failure. */
  async function curl(path: string, ...args: string[]): Promise<Answer> {
    const { code, stdout, stderr } = await run([
      "curl",
      "--disable",
      "--silent",
      "--show-error",
      "--noproxy",
      "*",
      "--include",
      ...args,
      real.url + path,
    ]);
    const TIMED_OUT = 28;
    if (code !== 0 && code !== TIMED_OUT) throw new Error(`curl failed (${code}): ${stderr}`);
    const final = stdout.replace(/^HTTP\/1.1 100 .*\r\n\r\n/, ""); // curl shows interim answers too
    const end = final.indexOf("\r\n\r\n");
    const [first = "", ...lines] = final.slice(0, end).split("\r\n");
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    return { status: Number(first.split(" ")[1]), headers, body: final.slice(end + 4) };
  }

  const SEND = "/api/v1/notifications/send";
  const KEYED = ["--header", `X-API-Key: ${KEY}`];
  const JSON_TYPE = ["--header", "Content-Type: application/json"];
  const send = (...args: string[]) => curl(SEND, ...KEYED, ...JSON_TYPE, ...args);

  test("sends a notification and is told what became of it", async () => {
    const { status, headers, body } = await send("--data", '{"target_user_id":"ann","event_type":"hello","payload":{"n":1}}');
    expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(body)).toMatchObject({ success: false, delivered_to: 0, queued: true });
  });

  test("a body from a file, after 100-continue, is one like any other", async () => {
    const file = join(folder, "body.json");
    await Bun.write(file, JSON.stringify({ target_user_id: "ann", event_type: "hello", payload: "x".repeat(60_000) }));
    const { status } = await send("--header", "Expect: 100-continue", "--data-binary", `@${file}`);
    expect(status).toBe(200);
  });

  test.each([
    ["no key", [...JSON_TYPE, "--data", "{}"], 401, "UNAUTHORIZED"],
    ["no JSON", [...KEYED, ...JSON_TYPE, "--data", "{"], 400, "VALIDATION_ERROR"],
    ["what curl calls its data by itself, a form,", [...KEYED, "--data", "a=b"], 415, "VALIDATION_ERROR"],
    ["the wrong shape", [...KEYED, ...JSON_TYPE, "--data", '{"target_user_id":"ann"}'], 422, "VALIDATION_ERROR"],
  ])("%s is a problem, in both spellings", async (_, args, expected, code) => {
    const { status, headers, body } = await curl(SEND, ...args);
    expect([status, headers.get("content-type")]).toEqual([expected, "application/problem+json"]);
    expect(JSON.parse(body)).toMatchObject({ status: expected, error: { code } });
  });

  test("HEAD and a method that is not served", async () => {
    expect((await curl("/health", "--head")).status).toBe(200);
    expect((await curl(SEND, "--request", "PATCH", ...KEYED)).status).toBe(405);
  });

  const handshake = (query: string, ...args: string[]) =>
    curl(
      `/ws${query}`,
      ...["--max-time", "0.5", "--http1.1"],
      ...["--header", "Connection: Upgrade", "--header", "Upgrade: websocket"],
      ...["--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
      ...args,
    );

  test("a handshake in Ara's dialect is answered without a subprotocol, and no frame comes first", async () => {
    const { status, headers, body } = await handshake(`?token=${signed(SECRET, "ann-curl")}`);
    expect(status).toBe(101);
    // RFC 6455 section 1.3: the answer to its sample key.
    expect(headers.get("sec-websocket-accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    expect(headers.has("sec-websocket-protocol")).toBe(false);
    expect(headers.has("sec-websocket-extensions")).toBe(false);
    expect(body).toBe("");
  });

  test("a handshake in the full dialect is answered with its subprotocol, and `connected` comes first", async () => {
    const { status, headers, body } = await handshake(
      "",
      "--header",
      `Sec-WebSocket-Protocol: nexus.token.${signed(SECRET, "bob-curl")}, nexus.v1.json`,
    );
    expect(status).toBe(101);
    expect(headers.get("sec-websocket-protocol")).toBe("nexus.v1.json");
    expect(body).toContain('{"type":"connected"');
  });

  test("a wrong token, or none, is 401 and a problem", async () => {
    for (const query of ["", "?token=wrong"]) {
      const { status, headers, body } = await handshake(query);
      expect([status, headers.get("content-type"), headers.get("www-authenticate")]).toEqual([401, "application/problem+json", "Bearer"]);
      expect(JSON.parse(body)).toMatchObject({ error: { code: "UNAUTHORIZED" } });
    }
  });

  describe("--no-buffer", () => {
    const listen = (query: string, ...args: string[]) => curl(`/sse${query}`, "--no-buffer", "--max-time", "0.5", ...args);

    test("shows a stream as text, with headers that keep proxies from holding it back", async () => {
      await send("--data", '{"target_user_id":"sse-curl","event_type":"hello","payload":{"n":1}}');
      const { status, headers, body } = await listen(`?token=${signed(SECRET, "sse-curl")}&channels=a,b`);
      expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
      expect([headers.get("cache-control"), headers.get("x-accel-buffering")]).toEqual(["no-cache, no-transform", "no"]);
      const [greeting, ...rest] = body.split("\n\n").filter((event) => event !== "");
      expect(greeting).toMatch(/^retry: \d+\nevent: connected\nid: [A-Za-z0-9_-]+\ndata: \{"type":"connected",.*\}$/);
      expect(rest.map((event) => event.split("\n")[0])).toEqual(["event: notification", "event: subscribed"]);
      expect(rest[0]).toContain('"payload":{"n":1}');
    });

    test("a token in a header, and none: 401 and a problem, or 204 for who comes back", async () => {
      const authorization = ["--header", `Authorization: Bearer ${signed(SECRET, "header-curl")}`];
      expect((await listen("", ...authorization)).body).toContain('"user_id":"header-curl"');
      const refused = await listen("");
      expect([refused.status, refused.headers.get("content-type")]).toEqual([401, "application/problem+json"]);
      const back = await listen("?token=wrong", "--header", "Last-Event-ID: AQ");
      expect([back.status, back.body]).toEqual([204, ""]);
    });

    test("a ticket instead of a token works once", async () => {
      const bearer = ["--header", `Authorization: Bearer ${signed(SECRET, "ticket-curl")}`];
      const made = await curl("/api/v1/tickets", "--request", "POST", ...bearer, ...JSON_TYPE);
      expect(made.status).toBeLessThan(300);
      const { ticket } = JSON.parse(made.body) as { readonly ticket: string }; // the contract's shape
      expect((await listen(`?ticket=${ticket}`)).body).toContain('"user_id":"ticket-curl"');
      expect((await listen(`?ticket=${ticket}`)).status).toBe(401);
    });
  });
});
