// Why: from the objects of a folder to one cluster's configuration, through the very functions the operator uses, plus what
// people need to try it: which keys and secrets go with which tenant. It must never decide what is accepted.

import { type AcceptedTenant, clusterKeyOf, keyOfObject, namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { compileBundle } from "@nexus/operator/desired/bundle.ts";
import { apiKeySecretName, childNames } from "@nexus/operator/desired/names.ts";
import { acceptAll } from "@nexus/operator/desired/world.ts";
import type { BundleEntry, TemplateSettings } from "@nexus/protocol/bundle.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { Problem } from "../files/load.ts";
import { type HmacAlgorithm, isHmac } from "../jwt.ts";
import { adaptForDev } from "./adapt.ts";
import type { FolderState } from "./folder.ts";
import type { Keyring, SecretName } from "./keyring.ts";

/** How tokens for a tenant are minted. */
export type Signer = { readonly secret: string; readonly algorithm: HmacAlgorithm; readonly issuer?: string; readonly audience?: string };
export type DevTenant = {
  readonly id: string;
  readonly apiKey: string;
  readonly signer: Signer;
  readonly templates: readonly TemplateSettings[];
};
export type DevBundle = {
  readonly cluster: string;
  readonly entries: readonly BundleEntry[];
  readonly tenants: readonly DevTenant[];
  readonly platformKey: string;
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** Objects that cannot be used as they are. */
  readonly refused: ReadonlySet<string>;
};

export type CompileOptions = {
  readonly keyring: Keyring;
  /** `namespace/name` of the cluster to run; absent: the first one. */
  readonly clusterName?: string;
  /** The cluster that ran before: it goes on under its name when its file is gone. */
  readonly previous?: string;
  /** Origins of the console, added where a tenant lists origins. */
  readonly origins: readonly string[];
};

export function compileFolder(state: FolderState, { keyring, clusterName, previous, origins }: CompileOptions): DevBundle {
  const resources = state.objects.map(({ resource }) => resource);
  const kind = <K extends (typeof resources)[number]["kind"]>(name: K) =>
    resources.filter((one): one is Extract<(typeof resources)[number], { kind: K }> => one.kind === name);
  const problems: Problem[] = [];
  const refused = new Set<string>();
  const { cluster, notes } = chooseCluster(kind("NexusCluster"), kind("Tenant"), { wanted: clusterName, previous });
  const tenants = kind("Tenant").map((tenant) => withOrigins(tenant, origins));
  const accepted = acceptAll({ clusters: [cluster], tenants, templates: kind("Template") });
  const complain = (kindName: string, key: string, message: string) => {
    const id = `${kindName} ${key}`;
    const placed = state.objects.find((one) => one.id === id);
    problems.push(placed ? { file: placed.file, line: placed.line("metadata.name"), message: `${id}: ${message}` } : { file: id, message });
    return id;
  };
  for (const one of accepted.refused) complain(one.kind, one.key, `${one.reason}: ${one.message}`);
  generate(cluster, accepted.tenants, { keyring, state });
  const read = (namespace: string, name: string, key: string): Uint8Array | undefined => {
    const made = keyring.get({ namespace, name, key });
    return state.secret(namespace, name, key) ?? (made === undefined ? undefined : Buffer.from(made));
  };
  const bundle = compileBundle({ cluster, tenants: accepted.tenants, templates: accepted.templates, secrets: read });
  for (const { reason, message, namespace, name, kind: kindName } of bundle.rejected) {
    const id = complain(kindName, `${namespace}/${name}`, `${reason}: ${message}`);
    if (reason !== "SecretNotFound" && reason !== "NameConflict") refused.add(id);
  }
  for (const { message, namespace, name, kind: kindName } of bundle.warnings) complain(kindName, `${namespace}/${name}`, message);
  const textOf = (ref: SecretName): string => Buffer.from(read(ref.namespace, ref.name, ref.key) ?? []).toString();
  const devTenants = accepted.tenants.map((one) => ({ ...describe(one, textOf), templates: templatesOf(bundle.entries, one.tenantId) }));
  return {
    cluster: keyOfObject(cluster),
    entries: bundle.entries,
    tenants: devTenants.sort((a, b) => Number(b.id === "default") - Number(a.id === "default") || (a.id < b.id ? -1 : 1)),
    platformKey: textOf(platformKeyRef(cluster)).trim(),
    problems,
    notes,
    refused,
  };
}

function chooseCluster(
  clusters: readonly NexusCluster[],
  tenants: readonly Tenant[],
  { wanted, previous }: { readonly wanted: string | undefined; readonly previous: string | undefined },
) {
  const notes: string[] = [];
  const chosen = wanted === undefined ? clusters[0] : clusters.find((one) => keyOfObject(one) === wanted);
  const others = clusters.filter((one) => one !== chosen).map(keyOfObject);
  if (chosen && others.length > 0)
    notes.push(`running NexusCluster ${keyOfObject(chosen)} only; --cluster chooses another (${others.join(", ")})`);
  if (chosen && chosen.spec.redis.mode !== "None")
    notes.push(`redis.mode ${chosen.spec.redis.mode}: not used here, one process keeps everything itself`);
  if (chosen) return { cluster: chosen, notes };
  const name = wanted ?? previous ?? (tenants[0] ? clusterKeyOf(tenants[0]) : "default/nexus");
  notes.push(`no NexusCluster ${name} in the files: running one with all defaults`);
  return { cluster: defaultCluster(name), notes };
}

function defaultCluster(key: string): NexusCluster {
  const [namespace = "default", name = "nexus"] = key.split("/");
  const metadata = { namespace, name, uid: "nexus-dev", generation: 1 };
  const checked = checkResource(
    adaptForDev({ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", metadata, spec: { redis: { mode: "None" } } }),
  );
  if (!checked.ok || checked.resource.kind !== "NexusCluster") throw new Error("the default NexusCluster is not valid"); // a bug: the schema is ours
  return checked.resource;
}

/** A tenant that lists origins would refuse the console on this machine. */
function withOrigins(tenant: Tenant, origins: readonly string[]): Tenant {
  const { allowedOrigins } = tenant.spec;
  if (!allowedOrigins || allowedOrigins.length === 0) return tenant;
  return { ...tenant, spec: { ...tenant.spec, allowedOrigins: [...new Set([...allowedOrigins, ...origins])] } };
}

/** Makes up the Secrets that are named and not in the files. A public key cannot be made up: its issuer stays out. */
function generate(
  cluster: NexusCluster,
  tenants: readonly AcceptedTenant[],
  { keyring, state }: { keyring: Keyring; state: FolderState },
): void {
  const ensure = (ref: SecretName, prefix: string) => {
    if (state.secret(ref.namespace, ref.name, ref.key) === undefined) keyring.ensure(ref, prefix);
  };
  for (const key of cluster.spec.platformKeys ?? []) ensure(keyRef(cluster, key), "nxp_");
  for (const { tenant } of tenants) {
    const namespace = namespaceOf(tenant);
    for (const { secretRef } of tenant.spec.auth.issuers ?? []) if (secretRef) ensure({ namespace, ...secretRef }, "");
    for (const key of tenant.spec.auth.apiKeys ?? []) ensure(apiKeyRef(tenant, key), "nxk_");
  }
}

type Named = { readonly name: string; readonly secretRef?: { readonly name: string; readonly key: string } };

const keyRef = (cluster: NexusCluster, { name, secretRef }: Named): SecretName => ({
  namespace: namespaceOf(cluster),
  ...(secretRef ?? { name: childNames(cluster.metadata.name).platformKey(name), key: "key" }),
});
const platformKeyRef = (cluster: NexusCluster): SecretName => keyRef(cluster, cluster.spec.platformKeys?.[0] ?? { name: "none" });
const apiKeyRef = (tenant: Tenant, { name, secretRef }: Named): SecretName => ({
  namespace: namespaceOf(tenant),
  ...(secretRef ?? { name: apiKeySecretName(tenant.metadata.name, name), key: "key" }),
});

/** The first key that may publish, and the first issuer with a secret: dev mode has made sure that both are there. */
function describe({ tenant, tenantId }: AcceptedTenant, textOf: (ref: SecretName) => string): Omit<DevTenant, "templates"> {
  const key = tenant.spec.auth.apiKeys?.find(({ scopes }) => scopes.includes("publish"));
  const issuer = tenant.spec.auth.issuers?.find(({ secretRef }) => secretRef !== undefined);
  const algorithm = issuer?.algorithms.find(isHmac) ?? "HS256";
  const audience = issuer?.audiences?.[0];
  return {
    id: tenantId,
    apiKey: key ? textOf(apiKeyRef(tenant, key)).trim() : "",
    signer: {
      secret: issuer?.secretRef ? textOf({ namespace: namespaceOf(tenant), ...issuer.secretRef }) : "",
      algorithm,
      ...(issuer?.issuer === undefined ? {} : { issuer: issuer.issuer }),
      ...(audience === undefined ? {} : { audience }),
    },
  };
}

const templatesOf = (entries: readonly BundleEntry[], tenant: string): readonly TemplateSettings[] =>
  entries.flatMap((entry) => (entry.kind === "template" && entry.spec.tenant_id === tenant ? [entry.spec] : []));
