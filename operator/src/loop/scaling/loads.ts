// Why: sizes are decided by what pods say of themselves, asked all at the same time and no more often than it is looked at. It
// must never ask when we do not lead, nor pass an old word on as a new one.
import type { AdminStatus, NodeLoad } from "@nexus/protocol/admin.ts";
import type { Cancel, Clock } from "../clock.ts";
import type { Leadership } from "../ports.ts";
import { Gate } from "../push-gate.ts";
import { AdminError, type AdminTarget } from "../push-ports.ts";
import type { ClusterTarget } from "../pusher.ts";
import type { LoadPort } from "./ports.ts";

/** Questions under way at once, over all clusters. */
const CONCURRENCY = 16;
/** Deadline of one question, in milliseconds. */
const ASK_MS = 5_000;
/** A round older than so many intervals says nothing any more. */
const STALE_ROUNDS = 2.5;

export type AskedPod = { readonly uid: string; readonly name: string; readonly address: string };
/** What one pod said. `load`: undefined from a server that cannot say. */
export type Said = { readonly sessions: number; readonly isDraining: boolean; readonly load: NodeLoad | undefined };
/** One question to all pods: by uid, undefined where no answer came. Rounds of a cluster are numbered upwards. */
export type Round = { readonly number: number; readonly atMs: number; readonly pods: ReadonlyMap<string, Said | undefined> };

export type LoadsOptions = {
  readonly admin: LoadPort;
  readonly leadership: Pick<Leadership, "mayWrite">;
  readonly clock: Clock;
  /** Time between two rounds, in milliseconds. */
  readonly intervalMs: number;
  /** A round of this cluster ended. Must not throw. */
  readonly onRound: (cluster: string) => void;
};

type Place = {
  target: ClusterTarget | undefined;
  pods: readonly AskedPod[];
  isFollowed: boolean;
  isAsking: boolean;
  timer: Cancel | undefined;
  last: Round | undefined;
};

/** `cluster` is `namespace/name`. */
export class Loads {
  readonly #options: LoadsOptions;
  readonly #places = new Map<string, Place>();
  readonly #gate = new Gate(CONCURRENCY);
  #isStopped = false;

  constructor(options: LoadsOptions) {
    this.#options = options;
  }

  setTarget(target: ClusterTarget): void {
    const place = this.#place(target.key);
    place.target = target;
    this.#first(target.key, place);
  }

  setPods(cluster: string, pods: readonly AskedPod[]): void {
    const place = this.#place(cluster);
    place.pods = pods;
    this.#first(cluster, place);
  }

  /** From now on its pods are asked, at once and then every interval; or not any more. */
  follow(cluster: string, isWanted: boolean): void {
    const place = this.#place(cluster);
    if (place.isFollowed === isWanted) return;
    place.isFollowed = isWanted;
    place.timer?.();
    place.timer = undefined;
    if (isWanted) this.#first(cluster, place);
    else place.last = undefined;
  }

  /** The last round, while it is young enough to go by. */
  last(cluster: string): Round | undefined {
    const { clock, intervalMs } = this.#options;
    const round = this.#places.get(cluster)?.last;
    return round && clock.monotonicMs() - round.atMs <= intervalMs * STALE_ROUNDS ? round : undefined;
  }

  /** Has a pod send sessions elsewhere. False when it did not answer, or we may not ask. */
  async shed(cluster: string, uid: string, request: { readonly sessions: number; readonly perSecond: number }): Promise<boolean> {
    const place = this.#places.get(cluster);
    const pod = place?.pods.find((one) => one.uid === uid);
    if (!place?.target || !pod || !this.#options.leadership.mayWrite()) return false;
    try {
      await this.#options.admin.shed(targetOf(place.target, pod), request, { timeoutMs: ASK_MS });
      return true;
    } catch (error) {
      if (error instanceof AdminError) return false; // the next round says how it stands
      throw error;
    }
  }

  forget(cluster: string): void {
    this.#places.get(cluster)?.timer?.();
    this.#places.delete(cluster);
  }

  stop(): void {
    this.#isStopped = true;
    for (const cluster of [...this.#places.keys()]) this.forget(cluster);
  }

  #place(cluster: string): Place {
    const found = this.#places.get(cluster);
    if (found) return found;
    const made: Place = { target: undefined, pods: [], isFollowed: false, isAsking: false, timer: undefined, last: undefined };
    this.#places.set(cluster, made);
    return made;
  }

  /** The first round comes as soon as there is somebody to ask; the others keep their pace. */
  #first(cluster: string, place: Place): void {
    if (place.isFollowed && !place.isAsking && place.last === undefined && place.target && place.pods.length > 0)
      void this.#ask(cluster, place);
  }

  async #ask(cluster: string, place: Place): Promise<void> {
    const { clock, leadership, intervalMs, onRound } = this.#options;
    place.timer?.();
    place.isAsking = true;
    const startedMs = clock.monotonicMs();
    const { target, pods } = place;
    const answers = target && leadership.mayWrite() ? await Promise.all(pods.map((pod) => this.#askOne(targetOf(target, pod)))) : undefined;
    place.isAsking = false;
    if (this.#isStopped || !place.isFollowed || this.#places.get(cluster) !== place) return;
    place.timer = clock.after(Math.max(0, startedMs + intervalMs - clock.monotonicMs()), () => void this.#ask(cluster, place));
    if (!answers) return;
    const said = new Map(pods.map(({ uid }, index) => [uid, answers[index]]));
    place.last = { number: (place.last?.number ?? 0) + 1, atMs: clock.monotonicMs(), pods: said };
    onRound(cluster);
  }

  async #askOne(target: AdminTarget): Promise<Said | undefined> {
    try {
      return aboutItself(await this.#gate.run(() => this.#options.admin.status(target, { timeoutMs: ASK_MS })));
    } catch (error) {
      if (error instanceof AdminError) return undefined;
      throw error;
    }
  }
}

const targetOf = ({ serverName, ca, token, port }: ClusterTarget, pod: AskedPod): AdminTarget => ({
  ...{ serverName, caPem: ca, token, port },
  ip: pod.address,
});

const aboutItself = ({ sessions, draining, load }: AdminStatus): Said => ({ sessions, isDraining: draining, load });
