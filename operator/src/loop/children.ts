// Why: applies the objects of one cluster and says what came of it. Our own writes are remembered until the store has them:
// judged by an older state, the next pass would write again. It must never touch a foreign object.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childLabels } from "../desired/names.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";
import type { Identity } from "../plan/ownership.ts";
import type { DigestAt } from "../plan/rendered.ts";
import { KINDS } from "./kinds.ts";
import type { ChildApplier, ChildOutcome, EventRecorder } from "./ports.ts";
import { keyOf } from "./ports.ts";
import type { ChildKind, Stores } from "./stores.ts";

/** What came of all children of one pass. */
export type ChildReport = {
  conflict: string | undefined;
  readonly contested: string[];
  /** `path (manager)`. */
  readonly foreign: string[];
  /** When to look again because of a contest or a terminating object; undefined = no need. */
  againMs: number | undefined;
};

export const emptyReport = (): ChildReport => ({ conflict: undefined, contested: [], foreign: [], againMs: undefined });

export const identityOf = (cluster: NexusCluster, operatorId: string): Identity => ({
  ...(cluster.metadata.uid ? { ownerUid: cluster.metadata.uid } : {}),
  labels: childLabels(cluster.metadata.name, "server", operatorId),
});

type Request = {
  readonly kind: ChildKind;
  readonly desired: KubeObject;
  readonly manager: string;
  readonly digestAt?: DigestAt;
};

/** When to look again at an object that is being deleted, in milliseconds. */
const TERMINATING_MS = 1_000;

export class Children {
  readonly #stores: Stores;
  readonly #applier: ChildApplier;
  readonly #events: EventRecorder;
  /** Newer than the store's, by kind and key. */
  readonly #newer = new Map<string, KubeObject>();

  constructor(stores: Stores, applier: ChildApplier, events: EventRecorder) {
    this.#stores = stores;
    this.#applier = applier;
    this.#events = events;
  }

  /** The youngest state that is known of a child. */
  live(kind: ChildKind, key: string): Manifest | undefined {
    const stored = this.#stores[kind].get(key);
    const ours = this.#newer.get(`${kind}:${key}`);
    if (!ours) return stored;
    if (isOlder(stored, ours)) return ours as Manifest; // an object of the same kind, as the API server answered it
    this.#newer.delete(`${kind}:${key}`);
    return stored;
  }

  remember(kind: ChildKind, object: KubeObject): void {
    this.#newer.set(`${kind}:${keyOf(object)}`, object);
  }

  /** The child was deleted. */
  forget(kind: ChildKind, key: string): void {
    this.#newer.delete(`${kind}:${key}`);
  }

  /** One child; `report` takes down what is worth telling. Rejects with `KubeError`. */
  async apply(cluster: NexusCluster, identity: Identity, request: Request & { readonly report: ChildReport }): Promise<void> {
    const { kind, desired, manager, digestAt, report } = request;
    const live = this.live(kind, keyOf(desired));
    const options = digestAt === undefined ? {} : { digestAt };
    const outcome = await this.#applier.apply({ kind: KINDS[kind], desired, live, manager, identity, ...options });
    if ("live" in outcome) this.remember(kind, outcome.live);
    if (outcome.kind === "stale") this.forget(kind, keyOf(desired));
    this.#report(cluster, `${kind} ${desired.metadata.name}`, outcome, report);
  }

  #report(cluster: NexusCluster, what: string, outcome: ChildOutcome, report: ChildReport): void {
    if ("foreign" in outcome) for (const { path, managers } of outcome.foreign) addOnce(report.foreign, `${path}${by(managers)}`);
    switch (outcome.kind) {
      case "applied":
        if (outcome.drift.length > 0) this.#tellDrift(cluster, what, outcome.drift);
        return;
      case "contested":
        for (const { path, managers } of outcome.drift) addOnce(report.contested, `${path}${by(managers)}`);
        report.againMs = Math.min(report.againMs ?? outcome.retryAfterMs, outcome.retryAfterMs);
        return;
      case "nameConflict":
        report.conflict ??= outcome.message;
        return;
      case "terminating":
      case "stale":
        report.againMs = TERMINATING_MS;
        return;
      case "inSync":
      case "created":
      case "unchanged":
        return;
      default:
        outcome satisfies never;
    }
  }

  #tellDrift(cluster: NexusCluster, what: string, drift: readonly { readonly path: string; readonly managers: readonly string[] }[]): void {
    const paths = drift.slice(0, 5).map(({ path, managers }) => `${path}${by(managers)}`);
    const more = drift.length > paths.length ? ` and ${drift.length - paths.length} more` : "";
    const note = `put back ${what}: ${paths.join(", ")}${more}`;
    this.#events.record({ regarding: cluster, type: "Warning", reason: "Drift", action: "Applying", note });
  }
}

const by = (managers: readonly string[]): string => (managers.length > 0 ? ` (${managers.join(", ")})` : "");
const addOnce = (list: string[], text: string): void => void (list.includes(text) || list.push(text));

/** Versions of one API server grow (they are etcd's). */
function isOlder(stored: KubeObject | undefined, ours: KubeObject): boolean {
  const [a, b] = [stored?.metadata.resourceVersion, ours.metadata.resourceVersion];
  if (!b) return false;
  if (stored && stored.metadata.uid !== ours.metadata.uid) return BigInt(a ?? 0) < BigInt(b);
  return a === undefined || BigInt(a) < BigInt(b);
}
