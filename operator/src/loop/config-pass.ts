// Why: the pass that brings a cluster's live bundle to what its objects say: a step of the configuration, then the book, the pods,
// the boot copy, and the objects whose status has news. Pods are told nothing before the first walk is whole: an unfinished
// bundle would wipe what they know.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject, namespaceOf } from "../desired/acceptance.ts";
import { childLabels, ownedBy } from "../desired/names.ts";
import type { KubeObject } from "../plan/object.ts";
import { BootCopy, type BootState } from "./boot.ts";
import type { Urgency } from "./boot-pace.ts";
import { urgencyOf } from "./boot-urgency.ts";
import { type Cancel, type Clock, type Random, sleep } from "./clock.ts";
import type { ConfigFound } from "./cluster-pass.ts";
import type { ClusterConfiguration } from "./config/cluster-configuration.ts";
import { type ContentReader, isFew, readContent } from "./config/content.ts";
import { Draft, type Wake } from "./config/draft.ts";
import type { Configurations } from "./configuration.ts";
import { EarlyWords } from "./early-words.ts";
import { isPaused } from "./paused.ts";
import type { ChildApplier, KubeApi, Leadership } from "./ports.ts";
import { type Pusher, podViews } from "./pusher.ts";
import { readSince, Standby } from "./standby.ts";
import type { TombstonePass } from "./tombstone-pass.ts";
import type { Views } from "./views.ts";
import { covers, type WatchScope } from "./watch-scope.ts";
import type { Outcome } from "./workers.ts";

export type ConfigPassDeps = {
  readonly views: Views;
  readonly configurations: Configurations;
  readonly content: ContentReader;
  readonly pusher: Pusher;
  readonly tombstones: TombstonePass;
  /** What this operator looks at. */
  readonly scope: WatchScope;
  readonly api: Pick<KubeApi, "get" | "heads">;
  readonly applier: ChildApplier;
  readonly leadership: Leadership;
  /** False while somebody else leads: configurations are kept up in memory, and nothing leaves this process. */
  readonly isLeading: () => boolean;
  readonly context: { readonly operatorId: string };
  readonly clock: Clock;
  readonly random: Random;
  /** The boot copy moved: the cluster's status may say something else. Never compiles: compiling is what moves it. */
  readonly wakeCluster: (clusterKey: string) => void;
  /** There is more to look at. */
  readonly wakeConfig: (clusterKey: string) => void;
  /** `hasPods`: somebody is about to answer about what was put. */
  readonly wakeObject: (wake: Wake, hasPods: boolean) => void;
  readonly onError: (error: unknown) => void;
};

const DONE: Outcome = { kind: "done" };
/** A status that was written a moment ago has come back through the watch after this long. */
const CORRECT_MS = 1_000;
/** After content could not be read. */
const READ_AGAIN_MS = 5_000;

/** What the passes of one cluster's configuration carry from one to the next. */
type Course = {
  /** Of the cluster: one made anew under the same name has a course of its own. */
  readonly uid: string | undefined;
  readonly boot: BootCopy;
  /** With the lead, and what the former leader wrote is known. Before, nothing of it leaves this process. */
  isTaken: boolean;
  /** The first walk is whole: pods may be told, the boot copy written. */
  isWhole: boolean;
  isReading: boolean;
  /** Of the first walk: their pods cannot have answered yet. */
  held: Wake[];
  /** What a standby leaves for its lead. */
  readonly standby: Standby;
  readonly timers: Set<Cancel>;
};

export class ConfigPass {
  readonly #deps: ConfigPassDeps;
  readonly #courses = new Map<string, Course>();
  readonly #early: EarlyWords;

  constructor(deps: ConfigPassDeps) {
    this.#deps = deps;
    this.#early = new EarlyWords(deps.clock);
  }

  /** Undefined before the first pass. */
  boot(clusterKey: string): BootState | undefined {
    return this.#courses.get(clusterKey)?.boot.state();
  }

  /** Undefined before the first walk is whole. */
  found(clusterKey: string): ConfigFound | undefined {
    if (!this.#courses.get(clusterKey)?.isWhole) return undefined;
    const own = this.#deps.configurations.known(clusterKey)?.own;
    return own && { missing: own.missing, refused: own.refused?.message };
  }

  /** Something happened to a boot Secret: written by us, edited, or gone. */
  bootSecret({ metadata }: KubeObject, isGone: boolean): void {
    const key = `${metadata.namespace}/${metadata.labels?.["app.kubernetes.io/instance"]}`;
    const index = Number(metadata.name.slice(metadata.name.lastIndexOf("-") + 1));
    const course = this.#courses.get(key);
    // Before the lead it is the leader that writes: what it wrote is read with the lead.
    if (course?.isTaken) course.boot.seen(index, isGone ? undefined : metadata.resourceVersion);
  }

  stop(): void {
    for (const course of this.#courses.values()) end(course);
    this.#courses.clear();
  }

  /** Rejects with `KubeError`; what the rest of the step came to is done all the same. */
  async run(clusterKey: string): Promise<Outcome> {
    const { views, configurations, clock, tombstones } = this.#deps;
    const cluster = views.clusters.get(clusterKey);
    const before = this.#courses.get(clusterKey);
    // Deleted and made anew between two looks: nothing of the old one may be owned by, or said of, the new one.
    if (!cluster || (before && before.uid !== cluster.metadata.uid)) this.#forget(clusterKey);
    if (!cluster) return DONE;
    if (!isThere(cluster) || isPaused(cluster)) return DONE;
    const isLeading = this.#deps.isLeading();
    const course = await this.#course(cluster, isLeading);
    const configuration = configurations.of(clusterKey, {
      seesLess: !covers(this.#deps.scope, course.boot.scope()),
      isOutdated: course.boot.isOutdated(),
      isStandby: !course.isTaken,
    });
    if (!course.isTaken && isLeading) await this.#takeOver(clusterKey, course, configuration);
    if (!course.isTaken) return await this.#warm(cluster, course, configuration);
    if (tombstones.begin(cluster, configuration)) course.boot.changed("urgent");
    const draft = new Draft();
    try {
      await configuration.step(cluster, draft);
    } finally {
      await tombstones.settle(clusterKey, draft);
      this.#commit(clusterKey, course, draft);
    }
    if (configuration.hasWork) {
      await sleep(clock, 0); // sockets and timers have their turn between two slices
      return { kind: "again", afterMs: 0 };
    }
    if (configuration.unread.size > 0) this.#read(clusterKey, course);
    else this.#whole(clusterKey, course, course.standby.urgency);
    return { kind: "again", afterMs: Math.min(configuration.againMs, tombstones.againMs(clusterKey)) };
  }

  /** Whether all that can be done before the lead is done: where nobody looks at a cluster, that is nothing. */
  isWarm(clusterKey: string): boolean {
    const cluster = this.#deps.views.clusters.get(clusterKey);
    if (!isThere(cluster) || isPaused(cluster)) return true;
    const course = this.#courses.get(clusterKey);
    const configuration = this.#deps.configurations.known(clusterKey);
    return course !== undefined && configuration !== undefined && !configuration.hasWork && !course.isReading;
  }

  /** As a leader would, but for what leaves this process. What the boot copy lacks is read once, where that is little. */
  async #warm(cluster: NexusCluster, course: Course, configuration: ClusterConfiguration): Promise<Outcome> {
    const { clock, content } = this.#deps;
    const clusterKey = keyOfObject(cluster);
    const draft = new Draft();
    try {
      await configuration.step(cluster, draft);
    } finally {
      this.#commit(clusterKey, course, draft);
    }
    if (configuration.hasWork) {
      await sleep(clock, 0);
      return { kind: "again", afterMs: 0 };
    }
    if (!course.standby.hasRead && isFew(configuration, content)) this.#read(clusterKey, course);
    course.standby.hasRead = true;
    return DONE;
  }

  async #takeOver(clusterKey: string, course: Course, configuration: ClusterConfiguration): Promise<void> {
    const { pusher, views } = this.#deps;
    await readSince({ ...course, pusher, clusterKey, configuration });
    course.isTaken = true;
    pusher.setPods(clusterKey, podViews(views, clusterKey)); // or it would be told that there are none
    configuration.lead({ seesLess: !covers(this.#deps.scope, course.boot.scope()) });
    course.held.push(...course.standby.wakes.values());
    course.boot.release();
  }

  /** Puts what a look came to into the live bundle. */
  #commit(clusterKey: string, course: Course, draft: Draft): void {
    const { pusher } = this.#deps;
    if (!course.isTaken) {
      const configuration = this.#deps.configurations.of(clusterKey);
      course.standby.keep(draft, { pusher, clusterKey, configuration, templates: this.#deps.views.templates });
      return;
    }
    const change = { put: draft.put, remove: draft.gone };
    if (change.put.length + change.remove.length > 0) {
      const urgency = urgencyOf(pusher.book(clusterKey), change);
      pusher.change(clusterKey, change);
      // The first walk writes its copy once, at its end; a key that was taken away does not wait for that.
      if (course.isWhole || urgency === "urgent") course.boot.changed(urgency);
    }
    course.held.push(...draft.wakes);
    if (course.isWhole) this.#wake(clusterKey, course);
  }

  #wake(clusterKey: string, course: Course): void {
    const { pusher, wakeObject, clock } = this.#deps;
    const hasPods = pusher.hasReadyPods(clusterKey);
    const unanswered: Wake[] = [];
    for (const wake of course.held) {
      if (wake.when === "put" && !hasPods) unanswered.push(wake);
      else wakeObject(wake, hasPods);
    }
    course.held = [];
    if (unanswered.length === 0) return;
    // The first pods of a fleet are not ready before they were told: their word is waited for before it is said that there are none.
    const wakeAll = () => {
      course.timers.delete(cancel);
      for (const wake of unanswered) wakeObject(wake, false);
    };
    const cancel = clock.after(this.#early.waitMs(unanswered.length), wakeAll);
    course.timers.add(cancel);
    // But that nobody has answered is better than a refusal that is over ("the Tenant does not exist"): applied together, objects
    // come in any order, and a tool that reads Stalled gives up on it.
    const correct = () => {
      course.timers.delete(cancelCorrect);
      for (const wake of unanswered) if (this.#saysRefused(wake)) wakeObject(wake, false);
    };
    const cancelCorrect = clock.after(CORRECT_MS, correct);
    course.timers.add(cancelCorrect);
  }

  #saysRefused({ kind, key }: Wake): boolean {
    const { views } = this.#deps;
    const status = (kind === "tenant" ? views.tenants : views.templates).get(key)?.status;
    if (status === undefined || status === "settled") return false;
    return status.conditions?.some((one) => one.type === "Accepted" && one.status === "False") ?? false;
  }

  #whole(clusterKey: string, course: Course, urgency: Urgency): void {
    if (course.isWhole) return;
    course.isWhole = true;
    this.#deps.pusher.known(clusterKey);
    course.boot.changed(urgency);
    course.boot.compiled();
    if (course.standby.wasUsed) course.held.push(...this.#untold(clusterKey, course));
    this.#wake(clusterKey, course);
    this.#deps.wakeCluster(clusterKey);
  }

  /** Tenants, and Templates whose status may have something to say: a standby told nobody what became of them. */
  *#untold(clusterKey: string, { held }: Course): Generator<Wake> {
    const { tenants, templates } = this.#deps.views;
    const known = new Set(held.map(({ kind, key }) => `${kind}:${key}`));
    for (const tenant of tenants.byIndex("cluster", clusterKey)) {
      const key = keyOfObject(tenant);
      if (!known.has(`tenant:${key}`)) yield { kind: "tenant", key, when: "first" };
      for (const one of templates.byIndex("tenant", key))
        if (one.status !== "settled" && !known.has(`template:${keyOfObject(one)}`))
          yield { kind: "template", key: keyOfObject(one), when: "first" };
    }
  }

  /** Content is read beside the passes: edits go on meanwhile. */
  #read(clusterKey: string, course: Course): void {
    if (course.isReading) return;
    course.isReading = true;
    const { content, configurations, clock, onError, wakeConfig } = this.#deps;
    const configuration = configurations.of(clusterKey);
    const isCurrent = () => this.#courses.get(clusterKey) === course;
    const take = async (draft: Draft) => {
      if (course.isTaken) await this.#deps.tombstones.settle(clusterKey, draft);
      if (isCurrent()) this.#commit(clusterKey, course, draft);
    };
    readContent(configuration, content, take)
      .catch(async (error: unknown) => {
        onError(error);
        await sleep(clock, READ_AGAIN_MS, this.#deps.leadership.lost);
      })
      .finally(() => {
        course.isReading = false;
        if (isCurrent()) wakeConfig(clusterKey);
      });
  }

  async #course(cluster: NexusCluster, isLeading: boolean): Promise<Course> {
    const key = keyOfObject(cluster);
    const known = this.#courses.get(key);
    if (known) return known;
    const { api, applier, clock, random, pusher, leadership, context, views, wakeCluster, onError } = this.#deps;
    const labels = childLabels(cluster.metadata.name, "server", context.operatorId);
    const ownerReferences = ownedBy(cluster);
    const identity = { labels, ...(cluster.metadata.uid === undefined ? {} : { ownerUid: cluster.metadata.uid }) };
    const boot = new BootCopy({
      owner: { namespace: namespaceOf(cluster), name: cluster.metadata.name, labels, ownerReferences, identity },
      book: pusher.book(key),
      mayWrite: () => leadership.mayWrite() && isThere(views.clusters.get(key)),
      onChange: () => wakeCluster(key),
      isHeld: !isLeading,
      scope: this.#deps.scope,
      ...{ api, applier, clock, random, onError },
    });
    // Before the book is filled otherwise: what was read back is not written again, and stays where a new version is refused.
    await boot.read((bucket) => pusher.load(key, bucket));
    const begun = { isTaken: isLeading, isWhole: false, isReading: false, held: [], standby: new Standby() };
    const course: Course = { uid: cluster.metadata.uid, boot, ...begun, timers: new Set() };
    this.#courses.set(key, course);
    return course;
  }

  #forget(clusterKey: string): void {
    const course = this.#courses.get(clusterKey);
    if (course) end(course);
    this.#courses.delete(clusterKey);
    this.#deps.configurations.forget(clusterKey);
    this.#deps.tombstones.forget(clusterKey);
    this.#deps.pusher.forget(clusterKey);
  }
}

const isThere = (cluster: NexusCluster | undefined): cluster is NexusCluster =>
  cluster !== undefined && cluster.metadata.deletionTimestamp === undefined;

function end({ boot, timers }: Course): void {
  boot.stop();
  for (const cancel of timers) cancel();
}
