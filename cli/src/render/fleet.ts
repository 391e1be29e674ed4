// Why: what the operator would make of one NexusCluster is asked of the operator's own pass, so that the answer can never lag
// behind it. Every Secret the spec names counts as there. It must never write anywhere, and never show a Secret's content.
import { namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { childNames } from "@nexus/operator/desired/names.ts";
import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { createAuthority, issueLeaf } from "@nexus/operator/kube/certificates.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { Renderings } from "@nexus/operator/loop/fleet/renderings.ts";
import type { FleetDeps } from "@nexus/operator/loop/fleet/work.ts";
import { reconcileFleet } from "@nexus/operator/loop/fleet-pass.ts";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import { NewestObjects } from "@nexus/operator/loop/newest.ts";
import type { Store } from "@nexus/operator/loop/ports.ts";
import { Loads } from "@nexus/operator/loop/scaling/loads.ts";
import { Scaling } from "@nexus/operator/loop/scaling/memory.ts";
import { SecretSource } from "@nexus/operator/loop/secret-source.ts";
import type { DeploymentObject } from "@nexus/operator/loop/views.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { MemoryCluster } from "./memory.ts";

/** `waitsFor`: why something the spec asks for is not among the objects; sentences. */
export type RenderedFleet = {
  readonly objects: readonly { readonly kind: Kind; readonly object: Manifest }[];
  readonly waitsFor: readonly string[];
};

/** A step may wait for what an earlier one made; more rounds than there are steps would be a circle. */
const MAX_ROUNDS = 8;

/** Everything besides boot Secrets. The pass is repeated until it makes nothing more. `isServed`: of optional kinds; all of them unless told. */
export async function renderFleet(
  cluster: NexusCluster,
  context: RenderContext,
  isServed: (kind: Kind) => boolean = () => true,
): Promise<RenderedFleet> {
  const memory = new MemoryCluster(await givenSecrets(cluster));
  const deps = fleetDeps(cluster, memory, { context, isServed });
  const waitsFor = new Set<string>();
  for (let round = 0, before = -1; round < MAX_ROUNDS && before !== memory.version; round++) {
    before = memory.version;
    const found = await reconcileFleet(cluster, deps);
    waitsFor.clear();
    for (const one of [found.conflict, found.listenerTls?.message, found.exposure.waitsFor?.message])
      if (one !== undefined) waitsFor.add(one);
  }
  return { objects: memory.objects(), waitsFor: [...waitsFor] };
}

type Given = { readonly context: RenderContext; readonly isServed: (kind: Kind) => boolean };

function fleetDeps(cluster: NexusCluster, memory: MemoryCluster, { context, isServed }: Given): FleetDeps {
  const secrets = memory.store(KINDS.Secret);
  return {
    api: memory.api,
    applier: memory.applier,
    contests: { hasApplied: () => false, found: () => 0, applied: () => undefined },
    secrets: new SecretSource({ api: memory.api, stores: [], clock: systemClock }),
    views: {
      clusters: storeOf([cluster]),
      tenants: storeOf([]),
      templates: storeOf([]),
      namespaces: storeOf([]),
      deployments: memory.store(KINDS.Deployment) as Store<DeploymentObject>, // Deployments of ours have a spec
      children: (kind) => memory.store(kind),
      pods: storeOf([]),
      ownSecrets: secrets,
      watchedSecrets: storeOf([]),
    },
    schemas: { hasField: async () => true },
    scaling: new Scaling(systemClock, nobodyAnswers()),
    capabilities: { has: isServed, look: () => undefined },
    newest: new NewestObjects(systemClock),
    renderings: new Renderings(),
    events: { record: () => undefined, flush: async () => undefined },
    certificates: { createAuthority, issueLeaf, needsRenewal: () => false, isPair: () => true, isIssuedBy: () => true },
    context,
    wallMs: () => 0, // same files, same bytes: what is rendered holds the time at which a password was made
  };
}

/** There are no pods, so none is ever asked how loaded it is. */
function nobodyAnswers(): Loads {
  const refuse = async () => {
    throw new Error("a rendering has no pods to ask");
  };
  return new Loads({
    admin: { status: refuse, shed: refuse },
    leadership: { mayWrite: () => false },
    clock: systemClock,
    intervalMs: 15_000,
    onRound: () => undefined,
  });
}

function storeOf<T extends KubeObject>(objects: readonly T[]): Store<T> {
  const key = (object: T) => `${object.metadata.namespace}/${object.metadata.name}`;
  return {
    size: objects.length,
    get: (wanted) => objects.find((object) => key(object) === wanted),
    list: () => [...objects],
    keys: () => objects.map(key).values(),
    byIndex: () => [],
    counted: () => 0,
    hasSynced: () => true,
  };
}

/** The Secrets the spec names, with content that serves where the pass looks at it: a certificate is a certificate. */
async function givenSecrets(cluster: NexusCluster): Promise<ReadonlyMap<string, KubeObject>> {
  const pair = await createAuthority("render");
  const base = { "tls.crt": pair.certPem, "tls.key": pair.keyPem, "ca.crt": pair.certPem };
  const given = new Map<string, Record<string, string>>();
  const visit = (value: unknown, name: string): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, name);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    if (/secretRef$/i.test(name) && "name" in value) {
      const key = "key" in value ? { [String(value.key)]: placeholderOf(String(value.key), pair.certPem) } : {};
      given.set(String(value.name), { ...base, ...given.get(String(value.name)), ...key });
      return;
    }
    for (const [member, inner] of Object.entries(value)) visit(inner, member);
  };
  visit(cluster.spec, "spec");
  if (cluster.spec.tls?.issuerRef) given.set(childNames(cluster.metadata.name).listenerTls, base);
  const namespace = namespaceOf(cluster);
  const secrets = [...given].map(([name, texts]) => {
    const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]));
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace, resourceVersion: "1" }, data };
    return [`${namespace}/${name}`, secret] as const;
  });
  return new Map(secrets);
}

/** PEM where a certificate is meant; a URL reads as one, anything else is a word. */
const placeholderOf = (key: string, certPem: string): string =>
  /\.(crt|pem)$/.test(key) ? certPem : key === "url" ? "postgres://user:password@postgres:5432/nexus" : "placeholder";
