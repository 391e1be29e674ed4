// Why: what prometheus-operator makes of the objects in a cluster, for a Prometheus that takes all of them: whom to scrape, with
// which labels, and which rules. It reads the API server and nothing else, so that what the operator forgot is missing here, too.
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { Stage } from "../operator.ts";
import type { Target } from "./prometheus.ts";

export type Labels = Readonly<Record<string, string>>;
type Head = { readonly name: string; readonly namespace: string; readonly labels?: Labels };
type Relabeling = {
  readonly action?: string;
  readonly targetLabel?: string;
  readonly replacement?: string;
  readonly sourceLabels?: unknown;
};
export type PodMonitor = {
  readonly metadata: Head;
  readonly spec: {
    readonly selector: { readonly matchLabels?: Labels };
    readonly podMetricsEndpoints: readonly {
      readonly port: string;
      readonly path?: string;
      readonly relabelings?: readonly Relabeling[];
    }[];
  };
};
/** A pod as the API server has it. */
export type Pod = {
  readonly metadata: Head;
  readonly spec: {
    readonly containers: readonly {
      readonly name: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: { readonly podIP?: string; readonly phase?: string };
};
type PrometheusRule = { readonly metadata: Head; readonly spec: { readonly groups: readonly RenderedGroup[] } };

export type Discovered = { readonly targets: readonly Target[]; readonly groups: readonly RenderedGroup[] };

/** All PodMonitors and PrometheusRules of the cluster as they are now. Groups get the object's name before their own: each object is a file of its own. */
export async function discover(stage: Stage): Promise<Discovered> {
  const list = async <T>(path: string): Promise<readonly T[]> => {
    const answer = await stage.plane.request(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return ((await answer.json()) as { items: T[] }).items; // the API server answers what the path names
  };
  const [monitors, rules, pods] = await Promise.all([
    list<PodMonitor>("/apis/monitoring.coreos.com/v1/podmonitors"),
    list<PrometheusRule>("/apis/monitoring.coreos.com/v1/prometheusrules"),
    list<Pod>("/api/v1/pods"),
  ]);
  return {
    targets: monitors.flatMap((monitor) => targetsOf(monitor, pods)),
    groups: rules.flatMap(({ metadata: { namespace, name }, spec }) =>
      spec.groups.map((group) => ({ ...group, name: `${namespace}/${name}/${group.name}` })),
    ),
  };
}

/** Pure. @throws Error for a relabeling that this does not know */
export function targetsOf({ metadata, spec }: PodMonitor, pods: readonly Pod[]): readonly Target[] {
  const wanted = Object.entries(spec.selector.matchLabels ?? {});
  const chosen = pods.filter(
    (pod) =>
      pod.metadata.namespace === metadata.namespace &&
      pod.status?.phase === "Running" &&
      wanted.every(([label, value]) => pod.metadata.labels?.[label] === value),
  );
  return chosen.flatMap((pod) =>
    spec.podMetricsEndpoints.flatMap(({ port, path = "/metrics", relabelings = [] }) =>
      pod.spec.containers.flatMap(({ name: container, ports = [] }) =>
        ports
          .filter(({ name }) => name === port)
          .map(({ containerPort }) => ({
            address: `${pod.status?.podIP}:${containerPort}`,
            labels: {
              ...{ namespace: metadata.namespace, pod: pod.metadata.name, container, endpoint: port },
              ...{ job: `${metadata.namespace}/${metadata.name}`, __metrics_path__: path },
              ...Object.fromEntries(relabelings.map(constant)),
            },
          })),
      ),
    ),
  );
}

function constant({ action = "replace", targetLabel, replacement, sourceLabels }: Relabeling): [string, string] {
  if (action.toLowerCase() !== "replace" || sourceLabels !== undefined || targetLabel === undefined || replacement === undefined)
    throw new Error(`a relabeling other than a constant: ${JSON.stringify({ action, targetLabel, replacement, sourceLabels })}`);
  return [targetLabel, replacement];
}
