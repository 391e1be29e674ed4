// Why: an object that an older CRD let in may lack defaults the loop relies on. Objects of our kinds pass through here before
// anybody looks at them.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { SCHEMAS, withDefaults } from "@nexus/protocol/resources/schema.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { KubeObject } from "../plan/object.ts";
import { stripManagedFields } from "./reflector.ts";

/** The same object with today's defaults, without managedFields. */
export function complete<T extends NexusCluster | Tenant | Template>(object: KubeObject): T {
  const bare = stripManagedFields(object) as T; // the API server answers objects of the kind that was asked for
  return { ...bare, spec: withDefaults(SCHEMAS[bare.kind].spec, bare.spec) } as T; // same spec, with defaults
}
