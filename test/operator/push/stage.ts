// Why: what tests of the pusher share: pods over real TLS, a leadership that a test moves, and a record of what happened.
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import type { BootCopy } from "@nexus/operator/loop/boot.ts";
import { type Clock, systemClock } from "@nexus/operator/loop/clock.ts";
import { createPusher, type Pusher } from "@nexus/operator/loop/push.ts";
import type { AdminPort, PushEvent, PushPod } from "@nexus/operator/loop/push-ports.ts";
import { syncedJudgement } from "@nexus/operator/status/synced.ts";
import { BUNDLE_FORMAT, type Bucket, type BundleEntry, entryKey, sealEntry, templateEntryId } from "@nexus/protocol/bundle.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority, type FakePod, startFakePod } from "../../support/fake-pod.ts";

export const CLUSTER = "prod/live";

/** A template's entry; the text makes its content. */
export const entryOf = (id: string, text = "hi", generation = 1, uid = `uid-${id}`): BundleEntry =>
  sealEntry({
    kind: "template" as const,
    id: templateEntryId("acme", id),
    uid,
    generation,
    spec: {
      tenant_id: "acme",
      template_id: id,
      event_type: "x",
      priority: "Normal" as const,
      engine: "Simple" as const,
      variables: [],
      payload: { text },
      locales: [],
    },
  });

export const keyOf = (id: string): string => entryKey({ kind: "template", id: templateEntryId("acme", id) });

/** Everything a boot copy reads back, at once. */
export async function bucketsOf(boot: BootCopy): Promise<readonly Bucket[]> {
  const buckets: Bucket[] = [];
  await boot.read(({ index, digest, entries }) =>
    buckets.push({ format: BUNDLE_FORMAT, index, digest, entries: entries.map(({ json }) => JSON.parse(json) as BundleEntry) }),
  );
  return buckets.sort((a, b) => a.index - b.index);
}

/** A Lease that is moved by hand: `term` as the API server would give it. */
export class FakeLeadership {
  current: bigint | undefined;
  /** What an update of the Lease brings; undefined = it is somebody else's. */
  next: bigint | undefined;
  budget = 10_000;
  raised = 0;

  constructor(term: bigint | undefined = 100n) {
    this.current = term;
    this.next = term;
  }

  mayWrite(): boolean {
    return this.current !== undefined && this.budget > 0;
  }
  writeBudgetMs(): number {
    return this.current === undefined ? 0 : this.budget;
  }
  term(): bigint | undefined {
    return this.current;
  }
  async raiseTerm(): Promise<bigint | undefined> {
    this.raised++;
    this.current = this.next;
    return this.current;
  }
}

/** The `Synced` condition of an object as its status would say it. */
export const syncedOf = (pusher: Pusher, id: string, generation = 1, nowMs = 0) => {
  const acknowledgement = pusher.acknowledgement(CLUSTER, { key: keyOf(id), uid: `uid-${id}`, generation });
  return syncedJudgement({ acknowledgement, previous: undefined, generation, nowMs });
};

export type Stage = AsyncDisposable & {
  readonly pusher: Pusher;
  readonly leadership: FakeLeadership;
  readonly pods: readonly FakePod[];
  readonly events: readonly PushEvent[];
  /** Pods as the API server would tell of them. */
  podList(change?: (pod: PushPod, index: number) => PushPod): PushPod[];
  /** Adds a pod that the pusher has not heard of. */
  addPod(): Promise<FakePod>;
  /** Another operator's pusher to the same pods. */
  rival(leadership: FakeLeadership): Pusher;
  settled(): Promise<void>;
  of<K extends PushEvent["kind"]>(kind: K): readonly Extract<PushEvent, { kind: K }>[];
};

export type StageOptions = {
  readonly pods?: number;
  readonly clock?: Clock;
  readonly leadership?: FakeLeadership;
  readonly ip?: string;
  readonly requestMs?: number;
  /** Whether the cluster's bundle is known (to be empty) from the start (default). */
  readonly isKnown?: boolean;
};

/** Pods that run, and a pusher that leads and knows them. */
export async function openStage({
  pods: count = 3,
  clock = systemClock,
  leadership = new FakeLeadership(),
  ip,
  requestMs = 5000,
  isKnown = true,
}: StageOptions = {}): Promise<Stage> {
  const { authority, access } = await adminAuthority(CLUSTER);
  const start = () => startFakePod({ authority, token: access.token, cluster: CLUSTER, ...(ip === undefined ? {} : { ip }) });
  const pods = await Promise.all(Array.from({ length: count }, start));
  const events: PushEvent[] = [];
  const pushers: Pusher[] = [];
  const admin: AdminPort = createAdminClient({ userAgent: "nexus-test", clock });
  const podList = (change: (pod: PushPod, index: number) => PushPod = (pod) => pod) =>
    pods.map((pod, index) =>
      change({ uid: `pod-${index}`, name: `live-server-${index}`, ip: pod.ip, port: pod.port, ready: true, restarts: 0 }, index),
    );
  const operator = (lead: FakeLeadership, observe: (event: PushEvent) => void) => {
    const pusher = createPusher({ admin, leadership: lead, clock, random: () => 0.5, observe, times: { requestMs } });
    pusher.setAccess(CLUSTER, access);
    if (isKnown) pusher.replace(CLUSTER, []);
    pusher.setPods(CLUSTER, podList());
    pusher.start();
    pushers.push(pusher);
    return pusher;
  };
  const pusher = operator(leadership, (event) => events.push(event));
  return {
    pusher,
    leadership,
    pods,
    events,
    podList,
    addPod: async () => {
      const pod = await start();
      pods.push(pod);
      return pod;
    },
    rival: (lead) => operator(lead, () => undefined),
    settled: async () => {
      await eventually("every pod has the bundle", () =>
        pods.every((pod) => pod.digest() === pusher.book(CLUSTER).digest() && pod.confirmed),
      );
      await eventually("the pusher knows", () => pusher.state(CLUSTER).podsSynced === pods.length);
    },
    of: (kind) => events.filter((event): event is Extract<PushEvent, { kind: typeof kind }> => event.kind === kind),
    [Symbol.asyncDispose]: async () => {
      for (const one of pushers) one.stop();
      for (const pod of pods) await pod[Symbol.asyncDispose]();
    },
  };
}
