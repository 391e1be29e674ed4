// Why: only the API server knows whether a CRD's schema, defaults and CEL do what we say. Every case of the shared list is
// sent to a real one; what it refuses must name the field.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readYaml } from "@nexus/cli/files/yaml.ts";
import { KINDS, type Kind } from "@nexus/protocol/resources/names.ts";
import { checkResource, SCHEMAS, withDefaults } from "@nexus/protocol/resources/schema.ts";
import { METADATA_CASES, objectWith } from "../../cli/metadata-cases.ts";
import { CASES, objectOf, UPDATES } from "../../protocol/resources/cases.ts";
import { SCALARS } from "../../protocol/resources/yaml-corpus.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { unavailableTier } from "../../support/cluster/tiers.ts";

const reason = await unavailableTier("control-plane");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const corpusTemplate = (name: string, eventType: string, payload: string) =>
  `apiVersion: nexus.dev/v1alpha1
kind: Template
metadata: { name: ${name} }
spec:
  tenantRef: { name: t }
  eventType: ${eventType}
  payload:
${payload}
`;

let cluster: ControlPlane;

type Status = { readonly message?: string; readonly spec?: unknown; readonly status?: unknown };

const collection = (kind: Kind) => `/apis/nexus.dev/v1alpha1/namespaces/default/${KINDS[kind].plural}`;

async function send(method: string, path: string, body: unknown): Promise<{ readonly code: number; readonly answer: Status }> {
  const headers = { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" };
  const answer = await cluster.request(path, { method, headers, body: JSON.stringify(body) });
  // The API server answers an object of the kind, or a Status.
  return { code: answer.status, answer: (await answer.json()) as Status };
}

describe.skipIf(reason !== undefined)("the CRDs on a real API server", () => {
  beforeAll(async () => {
    cluster = await startControlPlane({ controllerManager: false });
    const applied = await cluster.kubectl(["apply", "-f", join(import.meta.dir, "../../../crds")]);
    expect(applied).toMatchObject({ code: 0 });
    await cluster.kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  }, 900_000);

  afterAll(() => cluster?.[Symbol.asyncDispose]());

  let at = 0;
  for (const one of CASES) {
    test(`${one.kind}: ${one.name} is ${one.bad ? "refused" : "accepted"}`, async () => {
      const { code, answer } = await send("POST", collection(one.kind), objectOf(one, `case-${at++}`));
      if (!one.bad) {
        expect({ code, message: answer.message }).toEqual({ code: 201, message: undefined });
        // What `nexus validate` and `nexus dev` fill in is what the API server fills in.
        expect(answer.spec).toEqual(withDefaults(SCHEMAS[one.kind].spec, JSON.parse(JSON.stringify(one.spec))));
        return;
      }
      expect(code).toBe(422);
      expect(answer.message).toContain(one.bad.field === "metadata.name" ? "metadata.name" : one.bad.field);
      expect(answer.message).toContain(one.bad.says);
    });
  }

  for (const { name, metadata, bad } of METADATA_CASES) {
    test(`metadata: ${name} is ${bad ? "refused" : "accepted"}`, async () => {
      const { code, answer } = await send("POST", `${collection("Tenant")}?dryRun=All`, objectWith(metadata));
      expect({ code, message: answer.message ?? "" }).toEqual({ code: bad ? 422 : 201, message: expect.stringContaining(bad ?? "") });
    });
  }

  for (const one of UPDATES) {
    test(`update: ${one.name}`, async () => {
      const name = `update-${at++}`;
      const before = objectOf({ kind: one.kind, spec: one.before }, name);
      const created = await send("POST", collection(one.kind), before);
      expect(created.code).toBe(201);
      // The created object carries the resourceVersion that a replacement needs.
      const metadata = (created.answer as unknown as { metadata: object }).metadata;
      const after = { ...objectOf({ kind: one.kind, spec: one.after }, name), metadata };
      const { code, answer } = await send("PUT", `${collection(one.kind)}/${name}`, after);
      expect(code).toBe(one.field ? 422 : 200);
      if (one.field) expect(answer.message).toContain(one.field);
    });
  }

  test("an immutable id cannot be removed and added again", async () => {
    const spec = { clusterRef: { name: "c" }, tenantId: "first" };
    await send("POST", collection("Tenant"), objectOf({ kind: "Tenant", spec }, "again"));
    const path = `${collection("Tenant")}/again`;
    expect((await send("PATCH", path, { spec: { tenantId: null } })).code).toBe(422);
    expect((await send("PATCH", path, { spec: { tenantId: "second" } })).code).toBe(422);
    expect((await send("PATCH", path, { spec: { suspended: true } })).code).toBe(200);
  });

  test("kubectl scale is refused without redis, with the reason, and works with it", async () => {
    await send("POST", collection("NexusCluster"), objectOf({ kind: "NexusCluster", spec: { redis: { mode: "None" } } }, "alone"));
    await send("POST", collection("NexusCluster"), objectOf({ kind: "NexusCluster", spec: { redis: { mode: "Managed" } } }, "fleet"));
    const refused = await cluster.kubectl(["scale", "nexuscluster/alone", "--replicas=2"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('spec.replicas: Invalid value: replicas must be at most 1 while redis.mode is "None"');
    expect(await cluster.kubectl(["scale", "nexuscluster/fleet", "--replicas=3"])).toMatchObject({ code: 0 });
  });

  test("kubectl shows the columns, the short names, the category and the fields", async () => {
    const wide = await cluster.kubectl(["get", "nxc", "-o", "wide"]);
    expect(wide.stdout.split("\n")[0]?.trim().split(/\s+/)).toEqual([
      "NAME",
      "READY",
      "REASON",
      "REPLICAS",
      "CONNECTIONS",
      "AGE",
      "MESSAGE",
    ]);
    for (const name of ["nxt", "nxtpl", "nexus"]) expect(await cluster.kubectl(["get", name])).toMatchObject({ code: 0 });
    const explained = await cluster.kubectl(["explain", "nexuscluster.spec.limits.sendQueueBytes"]);
    expect(explained.stdout).toContain("in bytes");
  });

  test("the quickstart is accepted as it stands", async () => {
    const folder = join(import.meta.dir, "../../../examples/quickstart");
    const applied = await cluster.kubectl(["apply", "-k", folder, "--dry-run=server", "--validate=strict"]);
    expect(applied).toMatchObject({ code: 0 });
    expect(applied.stdout.trim().split("\n")).toHaveLength(3);
  });

  test("scalars that readers of YAML disagree on mean the same to kubectl and to us", async () => {
    const text = corpusTemplate("corpus", "x", SCALARS.map((scalar, at) => `    at${at}: ${scalar}`).join("\n"));
    const ours = readYaml(text).documents[0]?.value as { spec: { payload: Record<string, unknown> } }; // the document just written
    const result = await cluster.kubectl(["create", "--dry-run=server", "-o", "json", "-f", "-"], { stdin: text });
    expect(result).toMatchObject({ code: 0 });
    const theirs: typeof ours = JSON.parse(result.stdout);
    const table = ({ spec }: typeof ours) => Object.fromEntries(SCALARS.map((scalar, at) => [scalar, spec.payload[`at${at}`] ?? null]));
    expect(table(ours)).toEqual(table(theirs));
  });

  test("a text field takes the same scalars from kubectl as from us", async () => {
    const documents = SCALARS.map((scalar, at) => corpusTemplate(`corpus-${at}`, scalar, "    a: b"));
    const result = await cluster.kubectl(["create", "--dry-run=server", "-o", "name", "-f", "-"], { stdin: documents.join("---\n") });
    const names = new Set(result.stdout.trim().split("\n"));
    const theirs = SCALARS.filter((_, at) => names.has(`template.nexus.dev/corpus-${at}`));
    const ours = SCALARS.filter((_, at) => checkResource(readYaml(documents[at] ?? "").documents[0]?.value).ok);
    expect(ours).toEqual(theirs);
    expect(ours).toContain("None");
    expect(ours).not.toContain("Off");
  });

  test("an unknown field is refused by kubectl's own validation", async () => {
    const object = objectOf({ kind: "NexusCluster", spec: { redis: { mode: "None" }, replica: 2 } }, "unknown");
    const result = await cluster.kubectl(["apply", "-f", "-"], { stdin: JSON.stringify(object) });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("spec.replica");
  });
});
