// Why: everything an error report needs, bounded, each part by itself: what may not be read or is not there is written down as left
// out and hides nothing else. Every text passes the redactor before it is kept. It must never write to the cluster.
import { CHILD_KINDS, KINDS, type Kind, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Kind as OurKind } from "@nexus/protocol/resources/names.ts";
import { explainObject } from "../explain/chain.ts";
import { eventTime, type SeenEvent } from "../explain/events.ts";
import { chainText } from "../explain/links.ts";
import { writeYaml } from "../files/write.ts";
import type { Connection } from "../kube/connect.ts";
import { asResource, isReady, servedKind } from "../kube/objects.ts";
import { OPERATOR_SELECTOR } from "../render/operator-labels.ts";
import { type PodLogs, podTexts } from "./logs.ts";
import { createRedactor, type Redactor } from "./redact.ts";
import type { TarFile } from "./tar.ts";

export type Collected = { readonly files: readonly TarFile[]; readonly leftOut: readonly string[]; readonly redactions: number };
export type CollectOptions = { readonly logs: PodLogs; readonly nowMs: number; readonly cliVersion: string };

const OURS: readonly OurKind[] = ["NexusCluster", "Tenant", "Template"];
const MANAGED = "app.kubernetes.io/managed-by=nexus-operator";
const MAX_OBJECTS = 500;
const MAX_EXPLAINED = 20;

/** Of one namespace, and of the operator wherever it runs. */
export async function collect(connection: Connection, options: CollectOptions): Promise<Collected> {
  const run = new Collection(connection, options);
  await run.all();
  return run.result();
}

class Collection {
  readonly #connection: Connection;
  readonly #options: CollectOptions;
  readonly #files: TarFile[] = [];
  readonly #leftOut: string[] = [];
  #redactor: Redactor = createRedactor([]);

  constructor(connection: Connection, options: CollectOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  result(): Collected {
    return { files: this.#files, leftOut: this.#leftOut, redactions: this.#redactor.count() };
  }

  async all(): Promise<void> {
    const { namespace } = this.#connection;
    // First of all: what their values are, so that they are found wherever they were copied to.
    const before = this.#leftOut.length;
    await this.#part("Secrets", () => this.#secrets(namespace));
    if (this.#leftOut[before]?.startsWith("Secrets: the content") !== true)
      this.#leftOut.push("Secrets were not read: their values are not known, and only what looks like a secret was taken out");
    await this.#part("versions", () => this.#versions());
    for (const kind of OURS) await this.#part(servedKind(kind).resource, () => this.#ours(kind));
    const pods: KubeObject[] = [];
    for (const kind of [...CHILD_KINDS, KINDS.Pod, ...Object.values(OPTIONAL_KINDS)])
      await this.#part(kind.resource, async () => {
        const items = await this.#objects(kind, { namespace, labelSelector: MANAGED }, `children/${kind.resource}.yaml`);
        if (kind.kind === "Pod") pods.push(...items);
      });
    // Pods carry the labels of their fleet, not all of those of a child.
    await this.#part(
      "pods",
      async () =>
        void pods.push(
          ...(await this.#objects(KINDS.Pod, { namespace, labelSelector: "app.kubernetes.io/name=nexus" }, "children/fleet-pods.yaml")),
        ),
    );
    await this.#part("events", () => this.#events(namespace));
    await this.#logs("logs", distinct(pods));
    await this.#operator();
  }

  /** Keeps going: a part that fails is written down. */
  async #part(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const isAbsent = error.status === 404;
      this.#leftOut.push(isAbsent ? `${what}: not served or not there` : `${what}: ${this.#redactor.text(error.message)}`);
    }
  }

  #keep(path: string, text: string): void {
    this.#files.push({ path, text: this.#redactor.text(text) });
  }

  async #secrets(namespace: string): Promise<void> {
    const { items } = await this.#connection.api.list<SecretObject>(KINDS.Secret, { namespace });
    const values = items.flatMap(({ data = {} }) =>
      Object.entries(data)
        .filter(([key]) => key !== "username")
        .map(([, text]) => Buffer.from(text, "base64").toString()),
    );
    this.#redactor = createRedactor(values);
    const rows = items.map(({ metadata, type, data = {} }) => ({
      name: metadata.name,
      type,
      labels: metadata.labels,
      keys: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, `${Buffer.from(text, "base64").length} bytes, not shown`])),
    }));
    this.#keep("secrets.yaml", writeYaml([{ secrets: rows }]));
    this.#leftOut.push(`Secrets: the content of ${items.length}; only names, keys and sizes are in secrets.yaml`);
  }

  async #versions(): Promise<void> {
    const { body } = await this.#connection.transport.request({ method: "GET", path: "/version" });
    const { cliVersion, nowMs } = this.#options;
    this.#keep("versions.yaml", writeYaml([{ collectedAt: new Date(nowMs).toISOString(), nexus: cliVersion, kubernetes: body }]));
  }

  async #ours(kind: OurKind): Promise<void> {
    const { namespace } = this.#connection;
    const items = await this.#objects(servedKind(kind), { namespace }, `${servedKind(kind).resource}.yaml`);
    const failing = items.filter((one) => !isReady(asResource(one)));
    for (const { metadata } of failing.slice(0, MAX_EXPLAINED)) {
      const found = await explainObject(this.#connection, kind, metadata.name, this.#options.nowMs);
      if (found)
        this.#keep(`explain/${kind.toLowerCase()}-${metadata.name}.txt`, `${chainText(found.about, found.links, found.isReady)}\n`);
    }
    if (failing.length > MAX_EXPLAINED)
      this.#leftOut.push(`explanations of ${failing.length - MAX_EXPLAINED} more ${servedKind(kind).resource} that are not Ready`);
  }

  /** Lists, keeps, and answers what was kept. */
  async #objects(
    kind: Kind,
    scope: { readonly namespace?: string; readonly labelSelector?: string },
    path: string,
  ): Promise<readonly KubeObject[]> {
    const { items } = await this.#connection.api.list(kind, scope);
    const kept = items.slice(0, MAX_OBJECTS);
    if (items.length > kept.length) this.#leftOut.push(`${items.length - kept.length} of ${items.length} ${kind.resource}`);
    if (kept.length > 0) this.#keep(path, writeYaml(kept.map((one) => this.#redactor.object(one) as object)));
    return kept;
  }

  async #events(namespace: string): Promise<void> {
    const { items } = await this.#connection.api.list<SeenEvent>(KINDS.Event, { namespace });
    const sorted = [...items].sort((a, b) => (eventTime(a) < eventTime(b) ? -1 : 1)).slice(-2 * MAX_OBJECTS);
    const lines = sorted.map(
      (one) => `${eventTime(one)} ${one.type} ${one.regarding?.kind}/${one.regarding?.name} ${one.reason}: ${one.note ?? ""}`,
    );
    if (lines.length > 0) this.#keep("events.txt", `${lines.join("\n")}\n`);
  }

  async #logs(folder: string, pods: readonly KubeObject[]): Promise<void> {
    for await (const one of podTexts(this.#connection, pods, this.#options.logs)) {
      if ("leftOut" in one) this.#leftOut.push(this.#redactor.text(one.leftOut));
      else this.#keep(`${folder}/${one.path}`, one.text);
    }
  }

  async #operator(): Promise<void> {
    const pods: KubeObject[] = [];
    await this.#part(
      "the operator's Deployment",
      async () => void (await this.#objects(KINDS.Deployment, { labelSelector: OPERATOR_SELECTOR }, "operator/deployments.yaml")),
    );
    await this.#part("the operator's Lease", async () => {
      const { items } = await this.#connection.api.list(KINDS.Lease);
      const leases = items.filter(({ metadata }) => metadata.name.startsWith("nexus-operator"));
      if (leases.length > 0) this.#keep("operator/leases.yaml", writeYaml(leases.map((one) => this.#redactor.object(one) as object)));
    });
    await this.#part(
      "the operator's pods",
      async () => void pods.push(...(await this.#objects(KINDS.Pod, { labelSelector: OPERATOR_SELECTOR }, "operator/pods.yaml"))),
    );
    await this.#logs("operator", pods);
  }
}

const distinct = (objects: readonly KubeObject[]): readonly KubeObject[] => [
  ...new Map(objects.map((one) => [one.metadata.uid ?? one.metadata.name, one])).values(),
];
