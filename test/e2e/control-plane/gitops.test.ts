// Why: Flux and Argo CD decide by our statuses whether a deployment went well, and by a difference whether to deploy again. Every
// state our objects went through on a real API server is shown to the code those tools run; and what was applied stays as applied.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { readYaml } from "@nexus/cli/files/yaml.ts";
import { KINDS, type Kind } from "@nexus/protocol/resources/names.ts";
import { FULL } from "../../gitops/full.ts";
import { CUSTOMIZATIONS, OUR_KINDS, recordStates } from "../../gitops/record.ts";
import { ensureBinaries } from "../../support/cluster/binaries.ts";
import { unavailableTier } from "../../support/cluster/tiers.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Condition, type Stage, settled, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";
import { argoHealthOf, kstatusOf, type Verdict } from "../../support/wait-tools.ts";

setDefaultTimeout(120_000);
const reason = await unavailableTier("control-plane");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);
const root = join(import.meta.dir, "../../..");

type Live = {
  readonly kind: Kind;
  readonly metadata: { readonly name: string; readonly generation: number; readonly deletionTimestamp?: string };
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
};

let stage: Stage;
if (reason === undefined) {
  beforeAll(async () => {
    await ensureBinaries(["kstatus", "argo-lua"]);
    stage = await startStage();
  }, 300_000);
  afterAll(() => stage?.[Symbol.asyncDispose]());
}

/** Every state of our objects in a namespace, in the order in which they came. */
async function recording(namespace: string) {
  const stop = new AbortController();
  const seen: Live[] = [];
  const follow = async (kind: Kind) => {
    const path = `/apis/nexus.dev/v1alpha1/namespaces/${namespace}/${KINDS[kind].plural}?watch=true`;
    const answer = await eventually(`${kind} can be watched`, async () => {
      const opened = await stage.plane.request(path, { signal: stop.signal });
      return opened.ok && opened;
    });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      // A watch: one event a line.
      for (const line of lines) seen.push((JSON.parse(line) as { object: Live }).object);
    }
  };
  const all = Promise.allSettled(OUR_KINDS.map(follow));
  return {
    seen,
    of: (kind: Kind, name: string) => seen.filter((one) => one.kind === kind && one.metadata.name === name),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await all;
    },
  };
}

const says = (object: Live, type: string) => object.status?.conditions?.find((one) => one.type === type)?.status;
const isSeen = ({ status, metadata }: Live) => status?.observedGeneration === metadata.generation;
/** Without repetitions. */
const path = (verdicts: readonly Verdict[]) => verdicts.map(({ status }) => status).filter((one, at, all) => one !== all[at - 1]);

test.skipIf(reason !== undefined)(
  "Flux and Argo CD read every state right: making, ready, edited, stalled, mended, paused, deleted",
  async () => {
    const ns = "states";
    await stage.kubectl("create", "namespace", ns);
    await using states = await recording(ns);
    const keys = { auth: { issuers: [{ name: "i", algorithms: ["HS256"], secretRef: { name: "jwt" } }] } };
    await stage.plane.apply([tenant(ns, "acme", keys), template(ns)]);
    await eventually("both were seen before an operator was there", () => states.seen.length >= 2);
    await using _operator = await stage.operator();
    await stage.until("tenant/acme", ns, { type: "Reconciling", status: "True", reason: "ReferenceNotPermitted" });
    await stage.plane.apply(cluster(ns));
    await using kubelet = fakeKubelet(stage, ns, "live");
    await kubelet.runPods(1);
    await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
    await stage.until("tenant/acme", ns, { type: "Stalled", status: "True", reason: "SecretNotFound" });
    await stage.kubectl("create", "secret", "generic", "jwt", "-n", ns, `--from-literal=key=${"k".repeat(40)}`);
    await stage.until("tenant/acme", ns, { type: "Ready", status: "True" });
    await stage.until("template/hello", ns, { type: "Ready", status: "True" });
    await stage.plane.apply(template(ns, "hello", { payload: { text: "edited" } }));
    await stage.until("template/hello", ns, { type: "Ready", status: "True" });
    await stage.plane.apply(template(ns, "hello", { engine: "Liquid", payload: { text: "{% if x %}" } }));
    await stage.until("template/hello", ns, { type: "Stalled", status: "True" });
    await stage.plane.apply(template(ns, "hello", { payload: { text: "mended" } }));
    await stage.until("template/hello", ns, { type: "Ready", status: "True" });
    const gateway = { exposure: { gateway: { parentRefs: [{ name: "public" }] } } };
    await stage.plane.apply(cluster(ns, "live", gateway)); // nobody serves HTTPRoute here
    await stage.until("nexuscluster/live", ns, { type: "Stalled", status: "True", reason: "KindNotServed" });
    await stage.plane.apply([cluster(ns), tenant(ns, "acme", { ...keys, allowedOrigins: ["*"] })]);
    for (const object of ["nexuscluster/live", "tenant/acme"]) await stage.until(object, ns, { type: "Ready", status: "True" });
    for (const object of ["nexuscluster/live", "tenant/acme", "template/hello"]) {
      await stage.kubectl("annotate", object, "-n", ns, "nexus.dev/paused=true");
      await stage.until(object, ns, { type: "Paused", status: "True" });
      await stage.kubectl("annotate", object, "-n", ns, "nexus.dev/paused-");
      await eventually(`${object} is paused no more`, async () => (await stage.condition(object, ns, "Paused")) === undefined);
    }
    await stage.kubectl("delete", "template/hello", "tenant/acme", "nexuscluster/live", "-n", ns);
    await eventually("all are gone", async () => (await stage.kubectl("get", "nexus", "-n", ns, "-o", "name")) === "");
    if (process.env.NEXUS_RECORD) await recordStates(states.seen);

    const flux = await kstatusOf(states.seen);
    const wrong: string[] = [];
    for (const [at, object] of states.seen.entries()) {
      const { status } = flux[at] ?? { status: "none" };
      const wanted = object.metadata.deletionTimestamp
        ? "Terminating"
        : !isSeen(object)
          ? "InProgress"
          : says(object, "Stalled") === "True"
            ? "Failed"
            : says(object, "Ready") === "True"
              ? "Current"
              : "InProgress";
      if (status !== wanted) wrong.push(`${status}, not ${wanted}: ${JSON.stringify(object)}`);
    }
    expect(wrong).toEqual([]);
    const walk = async (kind: Kind, name: string) => path(await kstatusOf(states.of(kind, name))).join(" ");
    expect(await walk("NexusCluster", "live")).toMatch(
      /^InProgress Current( InProgress)? Failed( InProgress)? Current( InProgress Current)*$/,
    );
    expect(await walk("Tenant", "acme")).toMatch(/^InProgress Failed( InProgress)? Current( InProgress Current)*$/);
    expect(await walk("Template", "hello")).toMatch(/^InProgress( Current InProgress)+ Failed( InProgress Current)+$/);

    for (const kind of OUR_KINDS) {
      const script = join(CUSTOMIZATIONS, kind, "health.lua");
      const objects = states.seen.filter((one) => one.kind === kind);
      const argo = await argoHealthOf(script, objects);
      for (const [at, object] of objects.entries()) {
        const { status } = argo[at] ?? { status: "none" };
        const isPaused = says(object, "Paused") === "True";
        const wanted = isPaused
          ? "Suspended"
          : !isSeen(object)
            ? "Progressing"
            : says(object, "Stalled") === "True"
              ? "Degraded"
              : says(object, "Ready") === "True"
                ? "Healthy"
                : "Progressing";
        if (status !== wanted) wrong.push(`${status}, not ${wanted}: ${JSON.stringify(object)}`);
      }
      expect(path(argo)).toEqual(expect.arrayContaining(["Progressing", "Healthy", "Degraded", "Suspended"]));
    }
    expect(wrong).toEqual([]);
  },
);

type Applied = {
  readonly metadata: { readonly name: string; readonly generation: number; readonly labels?: object; readonly annotations?: object };
  readonly spec: unknown;
  readonly status?: { readonly observedGeneration?: number };
};
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** What a file can say of an object. */
function said({ metadata, spec }: Applied) {
  const { [LAST_APPLIED]: _, ...annotations } = { ...metadata.annotations } as Record<string, unknown>; // strings
  return { labels: metadata.labels ?? {}, annotations, spec };
}

async function examples(): Promise<readonly (readonly [string, readonly object[]])[]> {
  const folders = ["quickstart", "production"];
  const sets = await Promise.all(
    folders.map(async (folder) => {
      const rendered = await stage.kubectl("kustomize", join(root, "examples", folder));
      const objects = readYaml(rendered).documents.map(({ value }) => value as { apiVersion: string }); // kustomize prints objects
      return [folder, objects.filter(({ apiVersion }) => apiVersion.startsWith("nexus.dev/"))] as const;
    }),
  );
  return [...sets, ["everything", FULL]];
}

test.skipIf(reason !== undefined)(
  "what was applied is never different from what is there: client-side, server-side, with the operator at work",
  async () => {
    await using _operator = await stage.operator();
    const ways = (await examples()).flatMap(([name, objects]) => [[], ["--server-side"]].map((flags) => ({ name, objects, flags })));
    const applied: {
      readonly name: string;
      readonly ns: string;
      readonly file: string;
      readonly flags: readonly string[];
      readonly first: readonly Applied[];
    }[] = [];
    for (const [number, { name, objects, flags }] of ways.entries()) {
      const ns = `same-${number}`;
      await stage.kubectl("create", "namespace", ns);
      const items = objects.map((object) => ({ ...object, metadata: { ...Reflect.get(object, "metadata"), namespace: ns } }));
      const file = join(stage.plane.directory, `${ns}.json`);
      await Bun.write(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      await stage.kubectl("apply", ...flags, "-f", file);
      const first = await read(ns);
      expect(first.length, name).toBe(items.length);
      applied.push({ name, ns, file, flags, first });
    }
    // Without pods the operator waits for their first word before it says that there are none.
    const isLookedAt = ({ status }: Applied) => status?.observedGeneration === 1;
    const looked = async () => (await Promise.all(applied.map(({ ns }) => read(ns)))).flat().every(isLookedAt);
    await eventually("everything was looked at", looked, { timeoutMs: 60_000, intervalMs: 500 });
    await settled(stage, 2_000);
    for (const { name, ns, file, flags, first } of applied) {
      const now = await read(ns);
      expect(now.map(said)).toEqual(first.map(said));
      expect(now.map(({ metadata, status }) => [metadata.generation, status?.observedGeneration])).toEqual(now.map(() => [1, 1]));
      const again = await stage.kubectl("apply", "--dry-run=server", ...flags, "-o", "json", "-f", file);
      const dry = (JSON.parse(again) as { items: Applied[] }).items; // a List: there are several
      expect(dry.map(said).sort(byName)).toEqual(now.map(said).sort(byName));
      // kubectl diff ends with 1 at a difference.
      const { code, stdout } = await stage.plane.kubectl(["diff", ...flags, "-f", file]);
      expect({ name, code, stdout }).toEqual({ name, code: 0, stdout: "" });
    }
  },
);

const byName = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
async function read(namespace: string): Promise<readonly Applied[]> {
  const text = await stage.kubectl("get", "nexusclusters,tenants,templates", "-n", namespace, "-o", "json");
  return (JSON.parse(text) as { items: Applied[] }).items; // a List of ours
}
