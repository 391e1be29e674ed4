// Why: the two doors take tokens, tickets, cursors, channels and addresses from anybody. Garbage in any of them is refused
// as the contract says, or is no obstacle; it never opens the door for somebody else, and is never repeated.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { encodeCursor } from "@nexus/protocol/cursor.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { CANARY, mutated } from "../support/mutate.ts";
import { TOKEN_SECRET, token } from "../support/rest.ts";
import { SseClient } from "../support/sse-client.ts";
import { WsClient } from "../support/ws-client.ts";
import { type HostileTarget, startTarget } from "./target.ts";

let target: HostileTarget;
let good: string;
beforeAll(async () => {
  // Each step has an address of its own: the rate of failed attempts is not what is tested here.
  target = await startTarget({ env: { NEXUS_HTTP_TRUSTED_PROXIES: "127.0.0.1" } });
  good = await token("ann");
});
afterAll(() => target[Symbol.asyncDispose]()); // throws when a line at level error was logged

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "").toString("base64url");
function signed(header: unknown, claims: unknown): string {
  const body = `${encoded(header)}.${encoded(claims)}`;
  return `${body}.${createHmac("sha256", TOKEN_SECRET).update(body).digest("base64url")}`;
}

const HEADER = { alg: "HS256", typ: "JWT" };
const CLAIMS = { sub: "ann", tenant_id: "acme", exp: 4_000_000_000, nbf: 1, iat: 1, iss: "me", aud: ["us"], roles: ["a"], channels: ["*"] };
type Forged = { readonly jwt: string; readonly header: unknown; readonly claims: unknown };
/** Bun refuses headers beyond 16 KB with 431 before anybody looks at them. */
const MAX_TOKEN = 8192;
const forged: fc.Arbitrary<Forged> = fc
  .oneof(
    mutated(CLAIMS).map((claims) => ({ jwt: signed(HEADER, claims), header: HEADER, claims })),
    mutated(HEADER).map((header) => ({ jwt: signed(header, CLAIMS), header, claims: CLAIMS })),
    fc.constantFrom("none", "None", "NONE", "HS384", "RS256", "ES256", "EdDSA", "", "HS256 ").map((alg) => ({
      jwt: `${encoded({ alg })}.${encoded(CLAIMS)}.`,
      header: { alg },
      claims: CLAIMS,
    })),
  )
  .filter(({ jwt }) => jwt.length <= MAX_TOKEN);
/** A good token with characters changed: its signature holds for something else. */
const cut = fc.record({ at: fc.nat(), text: fc.constantFrom("", "A", ".", "=", "%", "-", " ", CANARY) });
const unusual = /[^\x21-\x7e]/;

let strangers = 0;
const elsewhere = () => {
  const n = strangers++;
  return { "x-forwarded-for": `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}` };
};
/** What came back for a token on both doors, and who the session is where there is one. */
async function knock(jwt: string): Promise<{ readonly status: number; readonly user: unknown }> {
  const from = elsewhere();
  const headers = { ...from, ...(unusual.test(jwt) ? {} : { authorization: `Bearer ${jwt}` }) };
  await using stream = await SseClient.connect(`${target.url}/sse`, headers);
  const ws = `${target.url.replace("http", "ws")}/ws?token=${encodeURIComponent(jwt)}`;
  await using socket = await WsClient.connect(ws, { protocols: ["nexus.v1.json"], headers: from });
  const { status } = socket.answer;
  expect([101, 400, 401, 403]).toContain(status);
  expect(stream.status).toBe(status === 101 ? 200 : status);
  expect(stream.body + socket.answer.body).not.toContain(CANARY);
  return { status, user: status === 101 ? (await socket.next("connected")).user_id : undefined };
}

test(
  "tokens that say odd things: the door opens for the signed subject or for nobody",
  async () => {
    const run = async ({ jwt, header, claims }: Forged) => {
      const { status, user } = await knock(jwt);
      if (status !== 101) return;
      expect([(header as typeof HEADER).alg, user]).toEqual(["HS256", (claims as typeof CLAIMS).sub]); // what opens the door has both
    };
    await fc.assert(fc.asyncProperty(forged, run), fuzzSettings());
  },
  fuzzTimeoutMs(60),
);

test(
  "a token that was changed after it was signed opens nothing",
  async () => {
    const run = async ({ at, text }: { readonly at: number; readonly text: string }) => {
      const place = at % good.length;
      const changed = good.slice(0, place) + text + good.slice(place + 1);
      // The last character carries two bits that mean nothing; everything else counts.
      const same = changed === good || (place === good.length - 1 && text === "A");
      if (!same) expect((await knock(changed)).status).toBe(401);
    };
    await fc.assert(fc.asyncProperty(cut, run), fuzzSettings());
  },
  fuzzTimeoutMs(60),
);

const position = fc.record({ epoch: fc.stringMatching(/^[A-Za-z0-9_-]{1,16}$/), offset: fc.nat({ max: Number.MAX_SAFE_INTEGER }) });
const cursor = fc.oneof(
  fc
    .dictionary(fc.constantFrom("user", "broadcast", "channel:news", "channel:x"), position)
    .map((all) => encodeCursor(Object.entries(all)) ?? ""),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from([1, ...bytes]).toString("base64url")),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(CANARY, `${CANARY}!`, "A".repeat(2048), "A".repeat(2049), "A".repeat(4000), "AQ==", "AQ", "null", "0"),
);
/** As a header carries it: what is no header value is left out. */
const headerOf = (text: string): Record<string, string> => (/^[\x21-\x7e]+$/.test(text) ? { "last-event-id": text } : {});
const safe = (text: string) => encodeURIComponent(text.toWellFormed());

test(
  "cursors that say nothing true cost a fresh start, in a header, in the address and in a frame",
  async () => {
    const run = async (text: string, where: "header" | "query") => {
      const headers = where === "header" ? headerOf(text) : {};
      await using stream = await SseClient.connect(`${target.url}/sse?token=${good}&channels=news&cursor=${safe(text)}`, headers);
      expect(stream.status).toBe(200);
      await stream.next("subscribed");
      await using socket = await target.connect("ann", `cursor=${safe(text)}`);
      await socket.next("connected");
      socket.send({ type: "Resume", id: "r", payload: { cursor: text } });
      await socket.ask({ type: "Ping", id: "p" }, "pong");
      const told = [...stream.events.map(({ data }) => data), ...socket.frames];
      expect(JSON.stringify(told.filter(({ code }) => code !== undefined))).not.toContain(CANARY);
    };
    await fc.assert(fc.asyncProperty(cursor, fc.constantFrom("header", "query"), run), fuzzSettings(3));
  },
  fuzzTimeoutMs(60),
);

const name = fc.constantFrom("token", "ticket", "channels", "cursor", "tOkEn", "__proto__", "", CANARY);
const value = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).map(safe),
  fc.constantFrom("%", "%zz", "%00", "%ed%a0%80", CANARY, `${CANARY},!,*,,`, ",".repeat(500), "a,".repeat(200), "=", "&", "%26", "#"),
);
const search = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((pairs) => pairs.map(([key, text]) => `${key}=${text}`).join("&"));
const forwarded = fc.oneof(
  fc.string({ maxLength: 60 }).map((text) => text.replace(/[^\x20-\x7e]/g, "?")),
  fc.constantFrom(...["::1", ",,,", "999.1.1.1", "[::1]:80", "unknown", "1.2.3.4:80", "fe80::1%eth0", `${"1.1.1.1,".repeat(500)}`, CANARY]),
);

test(
  "addresses and queries of any kind are answered",
  async () => {
    const run = async (text: string, header: string, withToken: boolean) => {
      const query = withToken ? `token=${good}&${text}` : text;
      const headers = { "x-forwarded-for": header };
      await using stream = await SseClient.connect(`${target.url}/sse?${query}`, headers);
      await using socket = await WsClient.connect(`${target.url.replace("http", "ws")}/ws?${query.replaceAll("#", "")}`, { headers });
      expect(withToken ? [200] : [401, 429]).toContain(stream.status);
      expect(withToken ? [101] : [401, 429]).toContain(socket.answer.status);
      expect(stream.body + socket.answer.body).not.toContain(CANARY);
    };
    await fc.assert(fc.asyncProperty(search, forwarded, fc.boolean(), run), fuzzSettings(2));
  },
  fuzzTimeoutMs(60),
);

test("left nothing behind", async () => {
  await eventually("every session to be gone", () => target.node.sessions.count() === 0);
  await target.deserted();
});
