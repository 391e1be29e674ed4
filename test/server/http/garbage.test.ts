// Why: whatever a stranger sends is answered as the stranger's mistake: never a 5xx, never a line about a failure of ours.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { apiKey, clusterEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { startRealServer } from "../../support/real-server.ts";

const KEY = "key-of-acme";
const paths = fc.constantFrom(
  "/api/v1/notifications/send",
  "/api/v1/notifications/channel",
  "/api/v1/notifications/broadcast",
  "/api/v1/users/%zz/inbox",
  "/%00",
  "/health?token=x",
);
const headerText = fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, "?"));
const bodies = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.string(),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => bytes.slice().buffer),
  fc
    .record(
      {
        target_user_id: fc.oneof(fc.string(), fc.integer()),
        channel: fc.string(),
        event_type: fc.string(),
        payload: fc.jsonValue(),
        template_id: fc.string(),
        variables: fc.dictionary(fc.string(), fc.jsonValue()),
        priority: fc.oneof(fc.constantFrom("Low", "Critical"), fc.string()),
        ttl: fc.oneof(fc.integer(), fc.double()),
        audience: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
);

test("garbage in bodies, headers and paths is a 4xx or an ordinary answer", async () => {
  await using real = await startRealServer({
    entries: [clusterEntry({ limits: { requestsPerSecond: 0 } }), tenantEntry("acme", { api_keys: [apiKey("backend", KEY)] })],
  });
  const sent = {
    path: paths,
    body: bodies,
    tenant: headerText,
    idempotency: headerText,
    type: fc.oneof(fc.constant("application/json"), headerText),
  };
  await fc.assert(
    fc.asyncProperty(fc.record(sent), async ({ path, body, tenant, idempotency, type }) => {
      const answer = await fetch(`${real.url}${path}`, {
        method: "POST",
        body,
        headers: { "x-api-key": KEY, "x-tenant-id": tenant, "idempotency-key": idempotency, "content-type": type, "x-request-id": tenant },
      });
      expect(answer.status).toBeLessThan(500);
      const content: unknown = await answer.json();
      if (answer.status >= 400) expect(content).toMatchObject({ status: answer.status, error: { code: expect.any(String) } });
    }),
    { numRuns: 500 },
  );
  expect(real.lines.filter(({ level }) => level === "error")).toEqual([]);
}, 30_000);
