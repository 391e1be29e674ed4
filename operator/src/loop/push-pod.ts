// Why: brings one pod to the bundle and keeps it there: one request at a time, the smallest push first, back-off when it does
// not answer, a look at its digests every minute. It must never start a push without the lead, and never touch another pod.
import { BUNDLE_FORMAT, bundleDigest } from "@nexus/protocol/bundle.ts";
import { type BackoffLimits, backoffDelayMs } from "./backoff.ts";
import type { Cancel, Clock, Random } from "./clock.ts";
import { type BundleBook, bucketOfKey } from "./push-book.ts";
import type { Pair, PushFence } from "./push-fence.ts";
import type { Gate } from "./push-gate.ts";
import { PushLag } from "./push-lag.ts";
import { type Plan, planPush } from "./push-plan.ts";
import {
  ADMIN_PORT,
  type AdminAccess,
  AdminError,
  type AdminPort,
  type AdminTarget,
  type PushObserver,
  type PushPod,
  type PushText,
} from "./push-ports.ts";

export const PUSH_TIMES = {
  /** Changes are gathered this long before they are sent. */
  gatherMs: 10,
  /** Deadline of one request; the fence may shorten it. */
  requestMs: 5_000,
  /** Digests are compared as often, ± 20 %. */
  compareMs: 60_000,
  /** A pod that does not reach its broker is asked again after so long, ± 20 %. */
  brokerMs: 5_000,
  /** How long a pod waits that could not be told because we do not lead. */
  standbyMs: 500,
};
export type PushTimes = Readonly<typeof PUSH_TIMES>;
const BACKOFF: BackoffLimits = { baseMs: 200, capMs: 10_000 };

/** What all pods of all clusters share. `failing` has few places: it is for pods that did not answer last time. */
export type PushShared = {
  readonly admin: AdminPort;
  readonly fence: PushFence;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: PushObserver;
  readonly healthy: Gate;
  readonly failing: Gate;
  readonly times: PushTimes;
};

export type PodCluster = {
  /** `namespace/name`. */
  readonly name: string;
  readonly book: BundleBook;
  readonly gate: Gate;
  readonly access: () => AdminAccess | undefined;
  /** The pod's state changed, and its word on entries of these buckets. */
  readonly onAnswer: (buckets: Iterable<number>) => void;
};

type Step = "done" | "more" | { readonly failed: unknown } | "standby";

export class PodPusher {
  pod: PushPod;
  readonly #shared: PushShared;
  readonly #cluster: PodCluster;
  readonly #stop = new AbortController();
  /** The pod's bucket digests; undefined = to be asked for. */
  #known: string[] | undefined;
  /** By bucket: the revision of ours that the pod confirmed by answering a push. */
  #revs = new Map<number, number>();
  /** `key` → `uid/generation` and reason, from its last answer. */
  #rejected: ReadonlyMap<string, { readonly version: string; readonly reason: string }> = new Map();
  /** Digest at which the last answered push ended. */
  #confirmed: string | undefined;
  /** The pod has to hear from us even if nothing differs: its memory is new to us, or an answer was lost. */
  #mustConfirm = true;
  /** When it took a push last, monotonic milliseconds. */
  #takenMs = Number.NEGATIVE_INFINITY;
  readonly #lag: PushLag;
  #lastPair: Pair | undefined;
  #whole = new Set<number>();
  #resetNext = false;
  /** A comparison was due; what is sent after it repairs. */
  #compareDue = false;
  #isRepair = false;
  #failures = 0;
  #failure: unknown;
  #timer: Cancel | undefined;
  #compareTimer: Cancel | undefined;
  #isRunning = false;
  #again = false;

  constructor(pod: PushPod, cluster: PodCluster, shared: PushShared) {
    this.pod = pod;
    this.#cluster = cluster;
    this.#shared = shared;
    this.#lag = new PushLag(shared.clock.monotonicMs());
    this.#lag.ready(pod.ready, shared.clock.monotonicMs());
  }

  /** Digest of what the pod holds, as far as known. */
  digest(): string | undefined {
    return this.#known && bundleDigest(this.#known);
  }

  /** Whether a push ended at the present digest. */
  isSynced(): boolean {
    return this.#confirmed === this.#cluster.book.digest();
  }

  /** Age of the oldest change it has not acknowledged, in milliseconds; 0 when it has everything, or is not ready. */
  behindMs(): number {
    return this.isSynced() ? 0 : this.#lag.ageMs(this.#shared.clock.monotonicMs());
  }

  /** The bundle is another one. */
  changed(): void {
    this.#lag.changed(this.#shared.clock.monotonicMs());
  }

  /** Undefined after an answer. */
  failure(): unknown {
    return this.#failure;
  }

  rejected(): readonly string[] {
    return [...this.#rejected.keys()];
  }

  /** The pod's word on an entry that came with `rev` of its bucket. */
  answer(key: string, bucket: number, entry: { readonly rev: number; readonly uid: string; readonly generation: number }) {
    if ((this.#revs.get(bucket) ?? -1) < entry.rev) return "silent";
    const rejected = this.#rejected.get(key);
    return rejected && rejected.version === `${entry.uid}/${entry.generation}` ? { refused: rejected.reason } : "acknowledged";
  }

  /** What the API server says about the pod now. A new address or a restarted container means a new memory. */
  update(pod: PushPod): void {
    const before = this.pod;
    this.pod = pod;
    this.#lag.ready(pod.ready, this.#shared.clock.monotonicMs());
    const isNew = before.ip !== pod.ip || before.port !== pod.port || before.restarts !== pod.restarts;
    if (isNew) this.forget();
    if (isNew || before.ready !== pod.ready) this.kick(true);
  }

  /** Nothing is known about the pod's memory any more. */
  forget(): void {
    this.changed();
    this.#known = undefined;
    this.#confirmed = undefined;
    this.#mustConfirm = true;
    this.#revs = new Map();
    this.#rejected = new Map();
  }

  /** Something changed: look again soon. With `urgent` a back-off under way is cut short. */
  kick(urgent = false): void {
    if (this.#stop.signal.aborted) return;
    this.#again = true;
    if (this.#isRunning || (this.#failures > 0 && !urgent)) return;
    this.#schedule(this.#shared.times.gatherMs);
  }

  /** Asks for the digests and repairs what differs. */
  compare(): void {
    this.#compareDue = true;
    this.kick(true);
  }

  stop(): void {
    this.#stop.abort();
    this.#timer?.();
    this.#compareTimer?.();
  }

  #schedule(delayMs: number): void {
    this.#timer?.();
    this.#timer = this.#shared.clock.after(delayMs, () => void this.#run());
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#stop.signal.aborted) return;
    this.#isRunning = true;
    this.#again = false;
    const gate = this.#failures > 0 ? this.#shared.failing : this.#shared.healthy;
    const step = await this.#cluster.gate.run(() => gate.run(() => this.#guarded()));
    this.#isRunning = false;
    if (!this.#stop.signal.aborted) this.#next(step);
  }

  #next(step: Step): void {
    const { random, observe } = this.#shared;
    if (step === "standby") this.#schedule(this.#shared.times.standbyMs);
    else if (typeof step === "object") {
      this.#failures++;
      this.#failure = step.failed;
      const retryInMs = backoffDelayMs(BACKOFF, this.#failures, random);
      observe({ kind: "failed", cluster: this.#cluster.name, pod: this.pod.name, error: step.failed, retryInMs });
      this.#cluster.onAnswer([]);
      this.#schedule(retryInMs);
    } else {
      this.#failures = 0;
      if (step === "more" || this.#again) this.#schedule(step === "more" ? 0 : this.#shared.times.gatherMs);
    }
  }

  async #guarded(): Promise<Step> {
    try {
      return await this.#step();
    } catch (error) {
      // After silence nobody knows whether a push was taken.
      this.#known = undefined;
      this.#mustConfirm = true;
      this.#lag.notTaken();
      return { failed: error };
    }
  }

  /** One question or one push. */
  async #step(): Promise<Step> {
    const access = this.#cluster.access();
    if (!access) return "standby";
    const target: AdminTarget = { ...access, ip: this.pod.ip, port: this.pod.port ?? ADMIN_PORT };
    if (!this.#known || this.#compareDue) return await this.#ask(target);
    const plan = planPush(this.#cluster.book, this.#known, this.#whole);
    if (plan.buckets.length === 0 && this.isSynced() && !this.#mustConfirm) {
      this.#isRepair = false;
      return "done";
    }
    return await this.#push(target, plan, this.#known);
  }

  async #ask(target: AdminTarget): Promise<Step> {
    const { fence, clock, random } = this.#shared;
    if (fence.budgetMs() <= 0) return "standby";
    const isFirst = this.#known === undefined;
    const status = await this.#shared.admin.status(target, { timeoutMs: this.#shared.times.requestMs, signal: this.#stop.signal });
    if (!status.bundle_formats.includes(BUNDLE_FORMAT))
      throw new AdminError("Refused", `the server reads bundle formats ${status.bundle_formats.join(", ")}, not ${BUNDLE_FORMAT}`);
    this.#failure = undefined;
    this.#isRepair = this.#compareDue && !isFirst;
    this.#compareDue = false;
    this.#compareTimer?.();
    const { compareMs, brokerMs } = this.#shared.times;
    const inMs = status.broker?.state === "down" ? brokerMs : compareMs;
    this.#compareTimer = clock.after(inMs * (0.8 + 0.4 * random()), () => this.compare());
    // Only a pod that heard exactly our last push is known to be as we left it.
    if (status.term !== this.#lastPair?.term || status.sequence !== this.#lastPair.sequence) this.#mustConfirm = true;
    // A question is no word of a leader's: who has everything hears so about every minute, or its configuration would look old.
    if (clock.monotonicMs() - this.#takenMs >= compareMs / 2) this.#mustConfirm = true;
    if (bundleDigest(status.buckets) !== this.#confirmed) {
      this.#confirmed = undefined;
      this.changed();
    }
    this.#known = [...status.buckets];
    this.#whole.clear();
    return "more";
  }

  async #push(target: AdminTarget, plan: Plan, known: string[]): Promise<Step> {
    const { fence, admin, observe } = this.#shared;
    const pair = fence.next();
    if (!pair) return "standby";
    const reset = this.#resetNext ? { reset: true } : {};
    const request: PushText = { format: BUNDLE_FORMAT, ...pair, ...reset, digest: plan.digest, buckets: plan.buckets };
    const startedMs = this.#shared.clock.monotonicMs();
    const timeoutMs = Math.min(this.#shared.times.requestMs, fence.budgetMs());
    this.#lag.sent();
    const answer = await admin.push(target, request, { timeoutMs, signal: this.#stop.signal });
    if (answer.kind !== "taken" || this.#known !== known) this.#lag.notTaken();
    if (this.#known !== known) return "more"; // its memory became new meanwhile: what it answered is past
    this.#failure = undefined;
    this.#lastPair = pair;
    const about = { cluster: this.#cluster.name, pod: this.pod.name };
    switch (answer.kind) {
      case "taken": {
        this.#resetNext = false;
        const seconds = (this.#shared.clock.monotonicMs() - startedMs) / 1000;
        const full = plan.buckets.filter((bucket) => bucket.full).length;
        observe({ kind: "pushed", ...about, seconds, full, delta: plan.buckets.length - full });
        if (this.#isRepair && plan.buckets.length > 0) observe({ kind: "repaired", ...about, buckets: plan.buckets.length });
        return this.#taken(plan, known, answer.result);
      }
      case "mismatch":
        observe({ kind: "mismatch", ...about, buckets: answer.mismatch.buckets.length });
        for (const { index, digest } of answer.mismatch.buckets) {
          known[index] = digest;
          this.#whole.add(index);
        }
        return "more";
      case "stale": {
        const outcome = await fence.refused(pair, answer.stale);
        observe({ kind: "stale", ...about, raised: outcome !== "lost" });
        if (outcome === "reset") observe({ kind: "reset", ...about });
        this.#resetNext = outcome === "reset";
        return outcome === "lost" ? "standby" : "more";
      }
      default:
        return answer satisfies never;
    }
  }

  #taken(plan: Plan, known: string[], result: PushTaken): Step {
    for (const { index, to } of plan.buckets) {
      known[index] = to;
      this.#whole.delete(index);
    }
    if (bundleDigest(known) !== result.digest) {
      // Its memory is not what we thought (a restart in between): ask, and tell it whole.
      this.forget();
      throw new AdminError("Malformed", "the server is at another digest than it was told");
    }
    const spoken = new Set(this.#note(result));
    // The pod holds exactly `known`, whoever told it: revisions of all buckets follow from the digests.
    for (const [index, digest] of known.entries()) {
      const rev = plan.revs.get(index) ?? this.#cluster.book.bucket(index).revOf(digest);
      if (rev === this.#revs.get(index)) continue;
      spoken.add(index);
      if (rev === undefined) this.#revs.delete(index);
      else this.#revs.set(index, rev);
    }
    this.#confirmed = result.digest === plan.digest ? result.digest : undefined;
    if (this.#confirmed === undefined) this.#lag.notTaken();
    else this.#lag.taken();
    this.#mustConfirm = false;
    this.#takenMs = this.#shared.clock.monotonicMs();
    this.#cluster.onAnswer(spoken);
    return "more"; // the next step finds nothing to do, or what came meanwhile
  }

  /** Takes the list of entries the pod cannot use; answers the buckets in which it changed. */
  #note(result: PushTaken): readonly number[] {
    const before = this.#rejected;
    const after = new Map(result.rejected.map(({ key, uid, generation, reason }) => [key, { version: `${uid}/${generation}`, reason }]));
    this.#rejected = after;
    const fresh = [...after.keys()].filter((key) => before.get(key)?.version !== after.get(key)?.version);
    const gone = [...before.keys()].filter((key) => !after.has(key));
    if (fresh.length > 0) this.#shared.observe({ kind: "rejected", cluster: this.#cluster.name, pod: this.pod.name, entries: fresh });
    return [...fresh, ...gone].map(bucketOfKey);
  }
}

type PushTaken = {
  readonly digest: string;
  readonly rejected: readonly { readonly key: string; readonly uid: string; readonly generation: number; readonly reason: string }[];
};
