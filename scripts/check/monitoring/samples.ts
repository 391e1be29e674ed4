// Why: rules differ with what a NexusCluster asks for; these clusters together ask for everything, so that no rule is left unread.
// It must never be a cluster that the API server would refuse.
import { API_VERSION } from "@nexus/protocol/resources/names.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";

function aCluster(name: string, spec: object): NexusCluster {
  const checked = checkResource({ apiVersion: API_VERSION, kind: "NexusCluster", metadata: { name, namespace: "team-a" }, spec });
  if (!checked.ok) throw new Error(`sample ${name}: ${JSON.stringify(checked.complaints)}`);
  // The kind is the one that stands above.
  return checked.resource as NexusCluster;
}

/** One pod in memory, nothing else. */
export const LEAN: NexusCluster = aCluster("lean", { redis: { mode: "None" } });

/** Every part that has rules of its own. */
export const FULL: NexusCluster = aCluster("full", {
  redis: { mode: "External", external: { topology: "Sentinel", addresses: ["sentinel:26379"], masterName: "main" } },
  storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "postgres" } } },
  autoscaling: { provider: "Nexus", minReplicas: 2, maxReplicas: 9 },
  pods: { resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { memory: "2Gi" } } },
  tls: { secretRef: { name: "listener" } },
  monitoring: { tracing: { endpoint: "http://collector:4318/v1/traces", samplePercent: 1 } },
});

export const MANAGED: NexusCluster = aCluster("managed", { redis: { mode: "Managed" }, replicas: 2 });

export const SAMPLES: readonly NexusCluster[] = [FULL, LEAN, MANAGED];
