// Why: an operator over older definitions loses fields without a word from anybody; what it says must name them, once, and must
// end when they are brought up to date.
import { expect, test } from "bun:test";
import { type ServedCrd, watchServedCrds } from "@nexus/operator/kube/served-crds.ts";
import { missingFields } from "@nexus/operator/plan/served-fields.ts";
import { SCHEMAS } from "@nexus/protocol/resources/schema.ts";
import { structural } from "../../../scripts/generate/crd.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

type Kind = keyof typeof SCHEMAS;
/** The schema of a kind as the API server would publish it. */
const published = (kind: Kind): { properties: { spec: { properties: Record<string, unknown> } } } =>
  structuredClone({
    type: "object",
    properties: { apiVersion: {}, kind: {}, metadata: {}, spec: structural(SCHEMAS[kind].spec), status: structural(SCHEMAS[kind].status) },
  }) as unknown as ReturnType<typeof published>; // an object's schema has properties

function setting(served: (kind: Kind) => unknown) {
  const clock = new ManualClock();
  const said: ServedCrd[] = [];
  let answer = served;
  const watch = watchServedCrds({ clock, read: async ({ kind }) => answer(kind as Kind), onChange: (one) => said.push(one) }); // our three kinds
  return {
    ...{ clock, said, watch },
    serve: (next: (kind: Kind) => unknown) => {
      answer = next;
    },
  };
}

const without = (kind: Kind, field: string) => (asked: Kind) => {
  const schema = published(asked);
  if (asked === kind) delete schema.properties.spec.properties[field];
  return schema;
};

test("definitions of this release, and newer ones, lack nothing", async () => {
  for (const kind of Object.keys(SCHEMAS) as Kind[]) {
    const schema = published(kind);
    schema.properties.spec.properties.fromTheFuture = { type: "string" };
    expect(missingFields({ ...SCHEMAS[kind].spec }, schema.properties.spec, "spec")).toEqual([]);
  }
});

test("older ones are told with the fields they drop, at any depth", () => {
  const { spec } = published("NexusCluster").properties;
  const exposure = spec.properties.exposure as { properties: Record<string, unknown> }; // a group
  delete exposure.properties.gateway;
  delete spec.properties.tls;
  expect(missingFields(SCHEMAS.NexusCluster.spec, spec, "spec")).toEqual(["spec.exposure.gateway", "spec.tls"]);
  const channels = spec.properties.channels as { items: { properties: Record<string, unknown> } }; // a list of groups
  delete channels.items.properties.publish;
  expect(missingFields(SCHEMAS.NexusCluster.spec, spec, "spec")).toContain("spec.channels[].publish");
});

test("it is said once, and again when the definitions were brought up to date", async () => {
  const { clock, said, serve, watch } = setting(without("NexusCluster", "tls"));
  await clock.advance(0);
  await clock.advance(3_600_000);
  expect(said).toEqual([
    { kind: "NexusCluster", missing: ["spec.tls"] },
    { kind: "Tenant", missing: [] },
    { kind: "Template", missing: [] },
  ]);
  serve(published);
  await clock.advance(600_000);
  expect(said.slice(3)).toEqual([{ kind: "NexusCluster", missing: [] }]);
  watch.stop();
  expect(clock.pending).toBe(0);
});

test("what is not published yet is not judged, but asked for again soon", async () => {
  const { clock, said, serve } = setting(() => undefined);
  await clock.advance(5_000);
  expect(said).toEqual([]);
  serve(published);
  await clock.advance(10_000);
  expect(said).toHaveLength(3);
});
