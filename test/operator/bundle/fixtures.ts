// Why: resources as the API server hands them out (defaults filled in), for tests of everything that compiles or pushes them.
import { generateKeyPairSync } from "node:crypto";
import type { AcceptedTemplate, AcceptedTenant } from "@nexus/operator/desired/acceptance.ts";
import type { SecretReader } from "@nexus/operator/desired/bundle/credentials.ts";
import { API_VERSION } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { checkResource, type Resource, type ResourceOf } from "@nexus/protocol/resources/schema.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";

type Meta = { readonly namespace?: string; readonly uid?: string; readonly generation?: number; readonly creationTimestamp?: string };

function resource<K extends Resource["kind"]>(kind: K, name: string, spec: object, meta: Meta): ResourceOf<K> {
  const metadata = { name, namespace: "prod", uid: `uid-${name}`, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z", ...meta };
  const checked = checkResource({ apiVersion: API_VERSION, kind, metadata, spec });
  if (!checked.ok) throw new Error(JSON.stringify(checked.complaints));
  // The kind is the one asked for.
  return checked.resource as ResourceOf<K>;
}

export const aCluster = (spec: object = {}, meta: Meta = {}): NexusCluster =>
  resource("NexusCluster", "live", { redis: { mode: "None" }, ...spec }, meta);
export const aTenant = (name: string, spec: object = {}, meta: Meta = {}): Tenant =>
  resource("Tenant", name, { clusterRef: { name: "live" }, ...spec }, meta);
export const aTemplate = (name: string, spec: object = {}, meta: Meta = {}): Template =>
  resource("Template", name, { tenantRef: { name: "acme" }, eventType: "x", payload: { text: "hi" }, ...spec }, meta);

export const accepted = (tenant: Tenant, cluster: NexusCluster = aCluster()): AcceptedTenant => ({
  tenant,
  cluster,
  tenantId: tenant.spec.tenantId ?? tenant.metadata.name,
});
export const acceptedTemplate = (template: Template, owner: AcceptedTenant = accepted(aTenant("acme"))): AcceptedTemplate => ({
  template,
  owner,
  templateId: template.spec.templateId ?? template.metadata.name,
});

/** Reads from `{"<namespace>/<name>": {key: value}}`. */
export const secretsOf =
  (secrets: Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>>): SecretReader =>
  (namespace, name, key) => {
    const value = secrets[`${namespace}/${name}`]?.[key];
    return typeof value === "string" ? new TextEncoder().encode(value) : value;
  };

export const noSecrets: SecretReader = () => undefined;

/** A fixed P-256 public key, so that goldens do not change. */
export const PUBLIC_PEM = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
`;

/** A private key nobody uses: it must never reach a bundle. */
export const newPrivatePem = (): string =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
