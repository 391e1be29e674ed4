// Why: what one edit of a Template costs the operator while a cluster has 10,000 (and 100,000) of them, part by part.
import { templateEntry } from "@nexus/operator/desired/bundle.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import { planPush } from "@nexus/operator/loop/push-plan.ts";
import { BUCKET_COUNT, bundleDigest, makeBuckets } from "@nexus/protocol/bundle.ts";
import { API_VERSION } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";

function resource(kind: "NexusCluster" | "Tenant" | "Template", name: string, spec: object) {
  const checked = checkResource({ apiVersion: API_VERSION, kind, metadata: { name, namespace: "prod", uid: name, generation: 1 }, spec });
  if (!checked.ok) throw new Error(JSON.stringify(checked.complaints));
  return checked.resource;
}

export function bundleEdit(): void {
  // The kinds are those asked for.
  const cluster = resource("NexusCluster", "live", { redis: { mode: "None" } }) as NexusCluster;
  const tenant = resource("Tenant", "acme", { clusterRef: { name: "live" } }) as Tenant;
  const owner = { tenant, cluster, tenantId: "acme" };
  const variables = [{ name: "name", required: true }, { name: "order" }];
  const base = resource("Template", "x", {
    tenantRef: { name: "acme" },
    eventType: "order.shipped",
    variables,
    payload: { title: "Hello {{name}}", body: "Your order {{order}} is on its way".repeat(4) },
    locales: [{ locale: "de", payload: { title: "Hallo {{name}}", body: "Bestellung {{order}} ist unterwegs".repeat(4) } }],
  }) as Template;
  const compile = (id: string, generation: number) => {
    const template = {
      ...base,
      metadata: { ...base.metadata, name: id, uid: id, generation },
      spec: { ...base.spec, eventType: `v${generation}` },
    };
    const entry = templateEntry({ template, owner, templateId: id });
    if ("reason" in entry) throw new Error(entry.message);
    return entry;
  };
  console.log(
    "| templates | compile all | fill the book | RSS | one edit: compile | + book and digest | + plan | whole recompile instead |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
  for (const count of [10_000, 100_000]) {
    const started = performance.now();
    const entries = Array.from({ length: count }, (_, index) => compile(`t${index}`, 1));
    const compiled = performance.now();
    const book = new BundleBook();
    book.change({ put: entries });
    const digests = Array.from({ length: BUCKET_COUNT }, (_, index) => book.bucket(index).digest());
    const filled = performance.now();
    const [one, two, three]: number[][] = [[], [], []];
    for (let round = 2; round < 202; round++) {
      const from = performance.now();
      const entry = compile(`t${(round * 7919) % count}`, round);
      const made = performance.now();
      book.change({ put: [entry] });
      book.digest();
      const changed = performance.now();
      const { buckets } = planPush(book, digests, new Set());
      for (const { index, to } of buckets) digests[index] = to;
      one?.push(made - from);
      two?.push(changed - made);
      three?.push(performance.now() - changed);
    }
    const again = performance.now();
    bundleDigest(makeBuckets(entries).map((bucket) => bucket.digest));
    const whole = performance.now() - again + (compiled - started);
    const median = (list: number[] | undefined) => `${(list?.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0).toFixed(2)} ms`;
    const rss = `${Math.round(process.memoryUsage().rss / 1048576)} MiB`;
    console.log(
      `| ${count} | ${(compiled - started).toFixed(0)} ms | ${(filled - compiled).toFixed(0)} ms | ${rss} | ${median(one)} | ${median(two)} | ${median(three)} | ${whole.toFixed(0)} ms |`,
    );
  }
}
