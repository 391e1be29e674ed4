// Why: brings one child object to its rendering with at most one write, and with none when it already is. It must never
// adopt an object of somebody else, never undo what others added, and never fight another controller without end.

import { isConflict, isNotFound } from "../loop/kube-error.ts";
import type { CallOptions, ChildApplier, ChildOutcome, ChildRequest, KubeApi, ObjectRef } from "../loop/ports.ts";
import { compare } from "../plan/compare.ts";
import type { KubeObject } from "../plan/object.ts";
import { foreignReason } from "../plan/ownership.ts";
import { type DigestAt, rendered, renderedDigest } from "../plan/rendered.ts";
import type { ContestTracker } from "./contest.ts";

export type ApplyMetrics = {
  /** An apply came back unchanged: the comparer saw a difference that is none. Must stay 0. */
  unchanged(kind: string): void;
  applied(kind: string): void;
  drifted(kind: string): void;
};

export type ApplierOptions = { readonly api: KubeApi; readonly contests: ContestTracker; readonly metrics?: ApplyMetrics };

/** Reads and writes again when the object changed in between. */
const ATTEMPTS = 4;

export const createApplier = (options: ApplierOptions): ChildApplier => new Applier(options);

type Work = ChildRequest & {
  readonly digestAt: DigestAt;
  readonly digest: string;
  readonly object: KubeObject;
  readonly call: CallOptions;
};

class Applier implements ChildApplier {
  readonly #api: KubeApi;
  readonly #contests: ContestTracker;
  readonly #metrics: ApplyMetrics | undefined;

  constructor(options: ApplierOptions) {
    this.#api = options.api;
    this.#contests = options.contests;
    this.#metrics = options.metrics;
  }

  async apply(request: ChildRequest, call: CallOptions = {}): Promise<ChildOutcome> {
    const digestAt = request.digestAt ?? "metadata";
    const work: Work = { ...request, digestAt, ...rendered(request.desired, digestAt), call };
    // A store may lag: what looks absent is read before it is made.
    const live = request.live ?? (await this.#read(work));
    if (live === undefined) return await this.#create(work);
    return await this.#judge(work, live);
  }

  async #judge(work: Work, live: KubeObject, attempt = 1): Promise<ChildOutcome> {
    if (live.metadata.deletionTimestamp !== undefined) {
      this.#contests.forget(live.metadata.uid ?? "");
      return { kind: "terminating" };
    }
    const why = foreignReason(live, work.identity);
    if (why !== undefined) return { kind: "nameConflict", message: `${work.kind.kind} ${live.metadata.name} exists and ${why}` };
    const outcome = await this.#bring(work, live, attempt);
    if (outcome.kind !== "stale" || attempt === ATTEMPTS) return outcome;
    // Controllers write status all the time; look again before giving up. What is gone is not made here.
    const newer = await this.#read(work);
    return newer ? await this.#judge(work, newer, attempt + 1) : outcome;
  }

  async #bring(work: Work, live: KubeObject, attempt: number): Promise<ChildOutcome> {
    const { differences, foreign } = compare(work.object, live, work.manager);
    if (differences.length === 0) return { kind: "inSync", live, foreign };
    const uid = live.metadata.uid ?? "";
    const isDrift = renderedDigest(live, work.digestAt) === work.digest || this.#contests.hasApplied(uid, work.digest);
    const drift = isDrift ? differences : [];
    if (isDrift) {
      const paths = differences.map((difference) => difference.path);
      const retryAfterMs = attempt === 1 ? this.#contests.found(uid, paths) : 0;
      if (retryAfterMs > 0) return { kind: "contested", drift, retryAfterMs };
    }
    const answer = await this.#send(work, live);
    if (answer === "stale") return { kind: "stale" };
    this.#contests.applied(uid, work.digest);
    if (answer.metadata.resourceVersion === live.metadata.resourceVersion) {
      this.#metrics?.unchanged(work.kind.kind);
      return { kind: "unchanged", live: answer, paths: differences.map((difference) => difference.path), foreign };
    }
    this.#metrics?.applied(work.kind.kind);
    if (isDrift) this.#metrics?.drifted(work.kind.kind);
    return { kind: "applied", live: answer, drift, foreign };
  }

  async #read(work: Work): Promise<KubeObject | undefined> {
    return await this.#api.get<KubeObject>(refOf(work), work.call);
  }

  async #send(work: Work, live: KubeObject): Promise<KubeObject | "stale"> {
    const { uid, resourceVersion } = live.metadata;
    const metadata = { ...work.object.metadata, ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
    try {
      const options = { ...work.call, manager: work.manager, force: true };
      return (await this.#api.apply<KubeObject>(work.kind, { ...work.object, metadata }, options)).object;
    } catch (error) {
      // Changed, or deleted, since it was read. (With a resourceVersion, an apply never creates.)
      if (isConflict(error) || isNotFound(error)) return "stale";
      throw error;
    }
  }

  /**
   * Without force: should somebody else have made the object since we looked, their values win as a 409. Where ours and
   * theirs do not collide the apply goes through, and 200 instead of 201 tells: then applying nothing takes our fields out again.
   */
  async #create(work: Work): Promise<ChildOutcome> {
    const options = { ...work.call, manager: work.manager, force: false };
    try {
      const { object, created } = await this.#api.apply<KubeObject>(work.kind, work.object, options);
      if (!created) {
        const { apiVersion, kind, metadata } = work.object;
        const { name, namespace } = metadata;
        const nothing = { apiVersion, kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) } };
        await this.#api.apply(work.kind, nothing, options);
        return { kind: "stale" };
      }
      this.#contests.applied(object.metadata.uid ?? "", work.digest);
      this.#metrics?.applied(work.kind.kind);
      return { kind: "created", live: object };
    } catch (error) {
      if (isConflict(error)) return { kind: "stale" };
      throw error;
    }
  }
}

const refOf = (work: Work): ObjectRef => ({
  kind: work.kind,
  name: work.desired.metadata.name,
  ...(work.desired.metadata.namespace === undefined ? {} : { namespace: work.desired.metadata.namespace }),
});
