// Why: optional kinds (KEDA, prometheus-operator, Gateway API) are used only where they are served. One request each for
// the core and the named groups says all (aggregated discovery, Kubernetes 1.27+). A group whose backend does not answer
// is `unavailable`: it must never be read as absent.

import type { Kind } from "../loop/kinds.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { Discovery } from "../loop/ports.ts";
import type { Transport } from "./transport.ts";

// v2 since Kubernetes 1.30, v2beta1 (the same shape) since 1.27.
const ACCEPT = ["v2", "v2beta1"].map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`).join(",");

/** What is served now, in the server's order of preference. Rejects with `KubeError`; 406 or `Malformed` from servers before 1.27. */
export async function discover(transport: Transport, signal?: AbortSignal): Promise<Discovery> {
  const lists = await Promise.all(
    ["/api", "/apis"].map((path) => transport.request({ method: "GET", path, accept: ACCEPT, ...(signal ? { signal } : {}) })),
  );
  const kinds: Kind[] = [];
  const unavailable: string[] = [];
  for (const { body } of lists) {
    for (const group of items(member(body, "items"), "groups")) {
      const name = String(member(member(group, "metadata"), "name") ?? "");
      for (const version of items(member(group, "versions"), "versions")) {
        const text = String(member(version, "version"));
        if (member(version, "freshness") === "Stale") unavailable.push(name === "" ? text : `${name}/${text}`);
        for (const resource of optionalItems(member(version, "resources"))) kinds.push(...kindOf(name, text, resource));
      }
    }
  }
  return { kinds, unavailable };
}

/** The plural and scope of a kind by group and kind, in the preferred version or the one named; undefined if not served. */
export const findKind = (seen: Discovery, want: { group: string; kind: string; version?: string }): Kind | undefined =>
  seen.kinds.find(
    (kind) => kind.group === want.group && kind.kind === want.kind && (want.version === undefined || kind.version === want.version),
  );

function kindOf(group: string, version: string, resource: unknown): Kind[] {
  const [plural, kind] = [member(resource, "resource"), member(member(resource, "responseKind"), "kind")];
  if (typeof plural !== "string" || typeof kind !== "string") return [];
  return [{ group, version, kind, resource: plural, namespaced: member(resource, "scope") === "Namespaced" }];
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

const optionalItems = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function items(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new KubeError({ status: 0, reason: "Malformed", message: `discovery: no ${name} in the answer` });
}
