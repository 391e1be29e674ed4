// Why: a pod that is ready may still serve an old configuration or live in another time. Its ops port says both, through the API
// server, without a credential of the pod.
import { objectPath } from "@nexus/operator/kube/paths.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { SeenPod } from "../explain/pods.ts";
import type { Connection } from "../kube/connect.ts";
import { readText } from "../kube/text.ts";
import { wholeSeconds } from "./api.ts";
import { type Check, fail, ok, skip, warn } from "./check.ts";

const OPS_PORT = 9090;
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 2_000_000;
/** Digests are compared every minute; a leader that was lost needs 20 s more. */
const OLD_SECONDS = { warn: 180, fail: 600 } as const;

/** `nowMs`: the wall clock. */
export async function podChecks(connection: Connection, pod: SeenPod, nowMs: () => number): Promise<readonly Check[]> {
  const { name, namespace = "" } = pod.metadata;
  const what = `Pod ${namespace}/${name}`;
  const proxy = (path: string): string => objectPath({ kind: KINDS.Pod, namespace, name: `${name}:${OPS_PORT}` }, `proxy/${path}`);
  try {
    const { text } = await readText(connection, proxy("metrics"), { maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS });
    const started = performance.now();
    const { dateMs } = await connection.transport.request({ method: "GET", path: proxy("live"), timeoutMs: TIMEOUT_MS });
    const clock = dateMs === undefined ? [] : [wholeSeconds(`${what} clock`, dateMs, nowMs(), performance.now() - started)];
    return [ageCheck(`${what} configuration`, sampleOf(text, "nexus_bundle_age_seconds")), ...clock];
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 403) return [skip(what, "not allowed to ask it (get pods/proxy)")];
    return [
      warn(
        what,
        `its ops port does not answer through the API server: ${error.message}`,
        "a NetworkPolicy may keep the API server out; then ask it from inside with nexus doctor --settings",
      ),
    ];
  }
}

/** The value of a metric without labels; undefined when it is not there. */
export function sampleOf(text: string, metric: string): number | undefined {
  const found = new RegExp(`^${metric} (\\S+)$`, "m").exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Pure. `seconds`: since a leader last confirmed what the pod has; -1: never. */
export function ageCheck(what: string, seconds: number | undefined): Check {
  const fix = "see who leads above; then NetworkPolicies between the operator and port 9091, and the operator's log";
  if (seconds === undefined) return skip(what, "it does not say how old it is");
  if (seconds < 0) return fail(what, "no operator has ever confirmed it: the pod serves what it was started with", fix);
  const seen = `confirmed ${Math.round(seconds)} s ago`;
  if (seconds >= OLD_SECONDS.fail) return fail(what, seen, fix);
  return seconds >= OLD_SECONDS.warn ? warn(what, seen, fix) : ok(what, seen);
}
