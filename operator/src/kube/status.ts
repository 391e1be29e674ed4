// Why: a status is written once per pass and only when it says something new; a write that changes nothing would wake
// every watcher. It must never write to an object that was made anew under the same name.
import { canonicalJson, sha256 } from "@nexus/protocol/canonical.ts";
import { type Clock, systemClock } from "../loop/clock.ts";
import { isConflict, isNotFound, KubeError } from "../loop/kube-error.ts";
import type { CallOptions, KubeApi, StatusRequest, StatusWriter } from "../loop/ports.ts";
import type { KubeObject } from "../plan/object.ts";

export const STATUS_MANAGER = "nexus-operator-status";

/** `unchanged` counts writes that changed nothing: must stay 0. */
export type StatusMetrics = { written(kind: string): void; unchanged(kind: string): void };

export type StatusWriterOptions = { readonly metrics?: StatusMetrics; readonly clock?: Clock };

export const createStatusWriter = (api: Pick<KubeApi, "apply">, options: StatusWriterOptions = {}): StatusWriter =>
  new Writer(api, options);

/** A copy that lags longer than this has other troubles, and 100,000 answers would be 100,000 objects. */
const ANSWER_MS = 10_000;

type Answer = { readonly metadata: KubeObject["metadata"]; readonly status: unknown; readonly untilMs: number };

class Writer implements StatusWriter {
  readonly #api: Pick<KubeApi, "apply">;
  readonly #metrics: StatusMetrics | undefined;
  /** Statuses that hold more than ours (another manager wrote into them), as left by our last write, by uid. */
  readonly #foreign = new Map<string, string>();
  /** Our last answers, by uid, oldest first, until the caller's copy has caught up: judged by an older one, a change back would be lost. */
  readonly #answers = new Map<string, Answer>();
  readonly #clock: Clock;

  constructor(api: Pick<KubeApi, "apply">, { metrics, clock = systemClock }: StatusWriterOptions) {
    this.#api = api;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  async write(request: StatusRequest, options: CallOptions = {}): Promise<"written" | "inSync" | "gone"> {
    const { kind } = request;
    const live = this.#newest(request.live);
    const uid = live.metadata.uid ?? "";
    const status = withoutUndefined(request.status);
    if (canonicalStatus(status) === canonicalStatus(live.status)) return "inSync";
    if (this.#foreign.get(uid) === fingerprint(status, live.status)) return "inSync";
    const { name, namespace } = live.metadata;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid ? { uid } : {}) };
    const body = { apiVersion: live.apiVersion, kind: live.kind, metadata, status };
    try {
      const answer = await this.#api.apply(kind, body, { ...options, manager: STATUS_MANAGER, force: true, subresource: "status" });
      this.#remember(uid, status, answer.object.status);
      this.#keep(uid, answer.object);
      const isSame = answer.object.metadata.resourceVersion === live.metadata.resourceVersion;
      if (isSame) this.#metrics?.unchanged(kind.kind);
      else this.#metrics?.written(kind.kind);
      return "written";
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error) && !isReplaced(error)) throw error;
      this.#foreign.delete(uid);
      this.#answers.delete(uid);
      return "gone";
    }
  }

  #newest(live: StatusRequest["live"]): StatusRequest["live"] {
    const uid = live.metadata.uid ?? "";
    const answer = this.#answers.get(uid);
    if (!answer) return live;
    const [ours, theirs] = [answer.metadata.resourceVersion ?? "0", live.metadata.resourceVersion ?? "0"];
    const isCurrent = answer.untilMs > this.#clock.monotonicMs();
    if (isCurrent && BigInt(theirs) < BigInt(ours)) return { ...live, metadata: answer.metadata, status: answer.status };
    this.#answers.delete(uid);
    return live;
  }

  #keep(uid: string, { metadata, status }: KubeObject & { readonly status?: unknown }): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [oldest, { untilMs }] of this.#answers) {
      if (untilMs > nowMs) break;
      this.#answers.delete(oldest);
    }
    const { name, namespace, resourceVersion } = metadata;
    const known = {
      name,
      uid,
      ...(namespace === undefined ? {} : { namespace }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    this.#answers.delete(uid); // to the end: the oldest are first
    this.#answers.set(uid, { metadata: known, status, untilMs: nowMs + ANSWER_MS });
  }

  #remember(uid: string, status: unknown, answer: unknown): void {
    if (canonicalStatus(answer) === canonicalStatus(status)) this.#foreign.delete(uid);
    else this.#foreign.set(uid, fingerprint(status, answer));
  }
}

/** The API server's words for a uid that is not the live object's. */
const isReplaced = (error: unknown): boolean =>
  error instanceof KubeError && error.status === 422 && error.causes.some((cause) => cause.field === "metadata.uid");

const fingerprint = (ours: unknown, live: unknown): string => sha256(`${canonicalStatus(ours)} ${canonicalStatus(live)}`);

/** Conditions are a map by `type` to the API server: their order says nothing. */
function canonicalStatus(status: unknown): string {
  const conditions: unknown = typeof status === "object" && status !== null ? Reflect.get(status, "conditions") : undefined;
  if (!Array.isArray(conditions)) return canonicalJson(status ?? {});
  return canonicalJson({ ...(status as object), conditions: conditions.map((condition) => canonicalJson(condition)).sort() });
}

/** As JSON would carry it. */
const withoutUndefined = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? {}));
