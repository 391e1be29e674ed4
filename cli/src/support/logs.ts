// Why: the last lines of every container, of the one before it when it was restarted, and its metrics, each within a bound.
import { objectPath, withQuery } from "@nexus/operator/kube/paths.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Connection } from "../kube/connect.ts";
import { readText } from "../kube/text.ts";

/** `lines` and `maxBytes` of each log; no more than `maxPods` pods. */
export type PodLogs = { readonly lines: number; readonly maxBytes: number; readonly maxPods: number };
export type PodText = { readonly path: string; readonly text: string } | { readonly leftOut: string };

type Pod = KubeObject & {
  readonly spec?: {
    readonly containers?: readonly {
      readonly name: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: { readonly containerStatuses?: readonly { readonly name: string; readonly restartCount?: number }[] };
};

/** Port names under which our programs serve their metrics, the surer first: a server has both, and says them under `ops` alone. */
const METRICS_PORTS: readonly string[] = ["ops", "http"];
const TIMEOUT_MS = 15_000;

/** Texts of pods, one after another: the API server is asked gently. */
export async function* podTexts(connection: Connection, pods: readonly KubeObject[], limits: PodLogs): AsyncGenerator<PodText> {
  const chosen: readonly Pod[] = pods.slice(0, limits.maxPods);
  if (pods.length > chosen.length) yield { leftOut: `logs of ${pods.length - chosen.length} of ${pods.length} pods` };
  for (const pod of chosen) {
    const { name, namespace = "" } = pod.metadata;
    const ref = { kind: KINDS.Pod, namespace, name };
    for (const container of pod.spec?.containers ?? []) {
      const query = { container: container.name, tailLines: limits.lines, timestamps: true };
      const restarts = pod.status?.containerStatuses?.find((one) => one.name === container.name)?.restartCount ?? 0;
      yield* read(connection, `${name}/${container.name}.log`, withQuery(objectPath(ref, "log"), query), limits);
      if (restarts > 0)
        yield* read(
          connection,
          `${name}/${container.name}.previous.log`,
          withQuery(objectPath(ref, "log"), { ...query, previous: true }),
          limits,
        );
      const port = METRICS_PORTS.flatMap((called) => container.ports?.filter((one) => one.name === called) ?? [])[0]?.containerPort;
      if (port !== undefined) {
        const proxy = objectPath({ ...ref, name: `${name}:${port}` }, "proxy/metrics");
        yield* read(connection, `${name}/${container.name}.metrics`, proxy, limits);
      }
    }
  }
}

async function* read(connection: Connection, path: string, from: string, { maxBytes }: PodLogs): AsyncGenerator<PodText> {
  try {
    const { text, isCut } = await readText(connection, from, { maxBytes, timeoutMs: TIMEOUT_MS });
    if (text !== "") yield { path, text };
    if (isCut) yield { leftOut: `${path}: what is beyond ${maxBytes} bytes` };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    yield { leftOut: `${path}: ${error.message}` };
  }
}
