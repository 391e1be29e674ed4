// Why: a path that is no percent-encoded UTF-8 is the caller's mistake on every operation, never ours.
import { expect, test } from "bun:test";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { clusterEntry, platformKey, tenantEntry } from "../../support/bundle-entries.ts";
import { startRealServer } from "../../support/real-server.ts";
import { expectProblem, restOf } from "../../support/rest.ts";

const ENTRIES = [clusterEntry({ limits: { requestsPerSecond: 0 }, platform_keys: [platformKey("root", "key")] }), tenantEntry("default")];

test("every path parameter of every operation is refused by name when it is no text", async () => {
  await using real = await startRealServer({ entries: ENTRIES });
  const rest = restOf(real.url, "key");
  for (const { method, path } of OPERATIONS) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
    for (const wrong of names) {
      for (const text of ["%zz", "%", "a%", "%ff", "%c3%28"]) {
        const asked = path.replace(/\{(\w+)\}/g, (_, name) => (name === wrong ? text : "fine"));
        const answer = await rest(method, asked, { ...(method === "GET" ? {} : { body: {} }), shape: path });
        expectProblem(answer, "validation_error");
        expect({ method, asked, errors: answer.body.errors }).toEqual({
          ...{ method, asked },
          errors: [{ pointer: `/${wrong}`, detail: "must be percent-encoded UTF-8" }],
        });
      }
    }
  }
});
