// Why: the OpenAPI document is a promise. A checker nobody here wrote makes requests from it, valid and not, and holds every
// answer against it: no 5xx, no status, header, type or body that is not described, nothing wrong accepted.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { pythonWith } from "../../scripts/host/python.ts";
import { apiKey, clusterEntry, platformKey, secretIssuer, templateEntry, tenantEntry } from "../support/bundle-entries.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import type { Document } from "../support/openapi.ts";
import { type RealServer, startRealServer } from "../support/real-server.ts";
import { WsClient } from "../support/ws-client.ts";
import { type Report, runSchemathesis } from "./schemathesis/run.ts";

const home = await pythonWith(["schemathesis"]);
if (!home.ok) process.stderr.write(`skipped: schemathesis ${home.reason}\n`);

const SECRET = new TextEncoder().encode("a secret of some length, for tests");
const KEY = "key-of-acme";
const PLATFORM_KEY = "platform-key";
/** Two answer with something that does not end; the document itself is left out by schemathesis unless asked for alone. */
const LEFT_OUT = ["ws", "sse", "openapi"];
/** What one example costs at most, with its shrinking, on a machine that is busy. */
const MS_PER_STEP = 200;

const ENTRIES = [
  clusterEntry({
    limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0 },
    platform_keys: [platformKey("root", PLATFORM_KEY)],
    channels: [{ match: "*", history: { size: 10, ttlSeconds: 300 }, slowConsumer: "Disconnect", subscribe: "Anyone", publish: "Nobody" }],
  }),
  tenantEntry("default"),
  tenantEntry("acme", { api_keys: [apiKey("backend", KEY)], issuers: [secretIssuer(SECRET)] }),
  templateEntry("acme", "welcome"),
];

let real: RealServer;
let ada: WsClient;
let token: string;
let operations: number;

beforeAll(async () => {
  if (!home.ok) return;
  real = await startRealServer({ entries: ENTRIES });
  token = await new SignJWT({ sub: "ada", tenant_id: "acme" }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(SECRET);
  ada = await WsClient.connect(`${real.url.replace("http", "ws")}/ws?token=${token}`, { protocols: ["nexus.v1.json"] });
  await ada.ask({ type: "Subscribe", payload: { channels: ["news"] } }, "subscribed");
  const document = (await (await fetch(`${real.url}/openapi.json`)).json()) as Document; // test/server/http/openapi.test.ts judges it
  const all = Object.values(document.paths).flatMap((item) => Object.values(item));
  operations = all.length - LEFT_OUT.length;
});
afterAll(async () => {
  await ada?.[Symbol.asyncDispose]();
  await real?.[Symbol.asyncDispose]();
});

const callers = [
  ["a tenant's key", { "X-API-Key": KEY, "X-Tenant-ID": "acme" }],
  ["a platform key", { "X-API-Key": PLATFORM_KEY }],
] as const;

test.skipIf(!home.ok).each(callers)(
  "%s: every answer to generated requests is one the document describes, none is a 5xx",
  async (_who, key) => {
    if (!home.ok) return;
    const settings = fuzzSettings(operations);
    const { report, output } = await runSchemathesis({
      ...{
        python: home.python,
        url: real.url,
        exclude: LEFT_OUT,
        known: await prepare(),
        seed: settings.seed,
        timeoutMs: fuzzTimeoutMs(MS_PER_STEP),
      },
      headers: { ...key, Authorization: `Bearer ${token}` },
      maxExamples: settings.numRuns,
    });
    const told = report && { tested: report.operations.tested, failures: report.failures, errors: report.errors };
    const clean = told?.tested === operations && told.failures.length === 0 && told.errors.length === 0;
    process.stderr.write(
      `schemathesis: ${operations} operations, ${report?.test_cases.generated ?? 0} requests, NEXUS_FUZZ_SEED=${settings.seed}\n`,
    );
    if (!clean) process.stderr.write(`${output}\n`);
    expect(told).toEqual({ tested: operations, failures: [], errors: [] });
    // Enough of them got past the door: a run of refusals would prove little.
    expect(acceptedOf(report).length).toBeGreaterThan(operations / 2);
  },
  fuzzTimeoutMs(MS_PER_STEP) + 10_000,
);

/** Things to ask for: names, a notification, an entry somebody kept, a template this API may change. Each is there again for each caller. */
async function prepare(): Promise<readonly string[]> {
  const post = async (path: string, body: object): Promise<Readonly<Record<string, unknown>>> => {
    const headers = { "x-api-key": KEY, "content-type": "application/json" };
    const answer = await fetch(`${real.url}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok && answer.status !== 409) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Readonly<Record<string, unknown>>; // every answer is a JSON object
  };
  const content = { event_type: "greeting", payload: { text: "hi" } };
  const { notification_id } = await post("notifications/send", { target_user_id: "ben", ...content });
  await post("templates", { id: "own", event_type: "greeting", payload_template: { text: "hi {{name}}" } });
  return ["ada", "ben", "news", "acme", "welcome", "own", String(notification_id)];
}

/** Operations that accepted a request. */
function acceptedOf(report: Report | undefined): readonly string[] {
  const rates = Object.entries(report?.valid_rates ?? {});
  return rates.flatMap(([label, phases]) => (Object.values(phases).some(({ accepted }) => accepted > 0) ? [label] : []));
}
