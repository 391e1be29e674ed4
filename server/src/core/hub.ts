// Why: between the bus, which announces entries per stream, and the sessions of this node that listen to them.
// It must never deliver an entry twice to a session, or one that lies before the place the session joined at.
import type { ClusterSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { Position } from "@nexus/protocol/cursor.ts";
import { isAddressed } from "./audience.ts";
import { CatchUp } from "./catch-up.ts";
import type { Defer } from "./defer.ts";
import type { Fan } from "./fan.ts";
import type { Flusher } from "./flusher.ts";
import { entryFrame, type Frame, gapFrame, NOWHERE } from "./frame.ts";
import { LiveFan } from "./live-fan.ts";
import type { Bus, BusListener, Clock, Entry, Log, Metrics, StreamId, StreamStore, Tenants } from "./ports.ts";
import type { Held, Session } from "./session.ts";
import { retentionOf, slowConsumerPolicy, streamKey } from "./streams.ts";
import type { DeliveryTrace, DeliveryTraces } from "./trace-delivery.ts";

/** How long a stream without listeners stays subscribed, in milliseconds: reconnecting clients find it ready. */
const LINGER_MS = 5000;
/** One for all streams that announcements flow for. */
const LISTENING = Promise.resolve();

/** A frame, and the settings it was made under. */
type Encoded = { readonly fan: Fan; readonly settings: readonly [ClusterSettings, TenantSettings | undefined]; readonly frame: Frame };

export type HubDeps = {
  readonly bus: Bus;
  readonly store: Pick<StreamStore, "read" | "seen" | "top">;
  readonly tenants: Tenants;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "fannedOut" | "gap">;
  readonly flusher: Pick<Flusher, "enqueue" | "published" | "measure" | "urge">;
  readonly defer: Defer;
  readonly sendQueueBytes: () => number;
  readonly overflow: (session: Session) => void;
  readonly traces?: DeliveryTraces | undefined;
};

export class Hub {
  readonly #deps: HubDeps;
  readonly #fans = new Map<string, LiveFan>();
  /** Streams without listeners, and since when (monotonic milliseconds). */
  readonly #empty = new Map<LiveFan, number>();
  readonly #active: Record<StreamId["kind"], number> = { inbox: 0, channel: 0, broadcast: 0 };
  readonly #listener: BusListener;
  readonly #catchUp: CatchUp;
  /** A memo: an entry is the same object for every reader as long as its engine keeps it. */
  readonly #kept = new WeakMap<Entry, Encoded>();

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.#listener = {
      onEntry: (entry) => this.#deliver(entry),
      onGap: (stream, reason) => this.#interrupted(stream, reason),
    };
    const { store, log, defer, tenants } = deps;
    this.#catchUp = new CatchUp({
      ...{ store, log, defer },
      isKept(stream) {
        const tenant = tenants.tenant(stream.tenant);
        return tenant !== undefined && retentionOf(stream, tenants.cluster(), tenant).entries > 0;
      },
      hasListeners: ({ key }) => (this.#fans.get(key)?.members.size ?? 0) > 0,
      deliver: ({ key }, entry, isRepeated) => this.#fanOut(this.#fans.get(key), entry, isRepeated),
      tellGap: ({ key }, reason, position) => this.#tellHole(this.#fans.get(key), reason, position),
    });
  }

  /** Streams of this kind with at least one local listener. */
  active(kind: StreamId["kind"]): number {
    return this.#active[kind];
  }

  find(stream: StreamId): Fan | undefined {
    return this.#fans.get(streamKey(stream));
  }

  /**
   * Makes the session a listener. Until `release`, live entries are held back for it, so that the caller can say where
   * the session stands first. Resolves once announcements flow; rejects with the bus's `Failure`.
   */
  async join(session: Session, stream: StreamId): Promise<Fan> {
    const key = streamKey(stream);
    const fan = this.#fans.get(key) ?? new LiveFan(stream);
    this.#fans.set(key, fan);
    this.#empty.delete(fan);
    if (fan.members.size === 0) this.#active[stream.kind]++;
    fan.members.add(session);
    session.joining ??= new Map();
    session.joining.set(fan, nothingHeld(fan));
    fan.listening ??= this.#deps.bus.listen(stream, this.#listener);
    try {
      await fan.listening;
      fan.listening = LISTENING;
    } catch (error) {
      fan.listening = undefined;
      this.leave(session, fan);
      throw error;
    }
    return fan;
  }

  /** Holds live entries back again, for a session that listens already: it is about to read what is kept. */
  hold(session: Session, fan: Fan): void {
    session.joining ??= new Map();
    if (!session.joining.has(fan)) session.joining.set(fan, nothingHeld(fan));
  }

  /** Delivers what was held back, without entries at or before `from`, and goes live; says so when something is missing between. */
  release(session: Session, fan: Fan, from: Position): void {
    const held = session.joining?.get(fan);
    session.joining?.delete(fan);
    if (session.joining?.size === 0) session.joining = undefined;
    if (!held) return;
    const live = this.#fans.get(fan.key);
    const step = live && from.epoch !== NOWHERE.epoch && held.gap !== "overflow" ? live.settle(session, from) : "unsettled";
    const isBroken = step === "after" && (held.gap !== undefined || isMissing(held, from));
    if (live && (step === "behind" || isBroken)) {
      live.stepBack(session, from);
      this.#beginCatchUp(live, held.gap ?? "behind"); // what was held back is read again with the rest
      return;
    }
    if (live && step === "other_epoch") this.#beginCatchUp(live, "epoch_changed");
    const reason = step === "other_epoch" ? "epoch_changed" : step === "unsettled" ? held.gap : undefined;
    if (reason !== undefined) this.#deps.metrics.gap(reason, 1);
    if (reason !== undefined) this.#tell(session, gapFrame(fan, reason, from.epoch === NOWHERE.epoch ? from : (fan.announced ?? from)));
    for (const frame of held.frames) {
      const position = frame.entry?.position;
      if (!position || position.epoch !== from.epoch || position.offset > from.offset) this.#deps.flusher.enqueue(session, frame);
    }
  }

  leave(session: Session, { key, stream }: Fan): void {
    const fan = this.#fans.get(key);
    if (!fan) return;
    session.joining?.delete(fan);
    fan.forget(session);
    if (!fan.members.delete(session) || fan.members.size > 0) return;
    this.#active[stream.kind]--;
    this.#empty.set(fan, this.#deps.clock.monotonic());
  }

  /** Encodes an entry for one stream; the policy is looked up once for all listeners. */
  encode(entry: Entry, fan: Fan, trace?: DeliveryTrace): Frame | undefined {
    const cluster = this.#deps.tenants.cluster();
    const tenant = this.#deps.tenants.tenant(fan.stream.tenant);
    if (!tenant) return undefined; // removed while the entry was on its way
    const marks = fan.stream.kind === "inbox" && tenant.quotas.inbox.mode === "Delivered";
    return entryFrame(entry, fan, { policy: slowConsumerPolicy(fan.stream, cluster, tenant), marks, trace });
  }

  /** As {@link encode}, for entries that many sessions read after each other: the same entry is encoded once. */
  encodeKept(entry: Entry, fan: Fan): Frame | undefined {
    const settings = [this.#deps.tenants.cluster(), this.#deps.tenants.tenant(fan.stream.tenant)] as const;
    const known = this.#kept.get(entry);
    if (known?.fan === fan && known.settings[0] === settings[0] && known.settings[1] === settings[1]) return known.frame;
    const frame = this.encode(entry, fan);
    if (frame) this.#kept.set(entry, { fan, settings, frame });
    return frame;
  }

  #deliver(entry: Entry): void {
    const fan = this.#fans.get(streamKey(entry.stream));
    if (!fan) return;
    if (fan.catching) {
      this.#catchUp.hold(fan.catching, entry);
      return;
    }
    const { position } = entry;
    const step = position ? fan.follow(position, entry.notification.id) : "next";
    if (fan.members.size === 0) {
      if (step === "hole") fan.announced = undefined; // whoever joins next reads from its own place
      return;
    }
    if (step === "late") return;
    if (step === "hole") {
      this.#deps.log.warn("hub.hole", { stream: fan.stream.kind, tenant: fan.stream.tenant, reason: step });
      this.#beginCatchUp(fan, step);
      if (fan.catching) this.#catchUp.hold(fan.catching, entry);
      return;
    }
    if (step === "epoch_changed" && position) this.#tellHole(fan, step, { epoch: position.epoch, offset: position.offset - 1 });
    this.#fanOut(fan, entry);
  }

  #interrupted(stream: StreamId, reason: string): void {
    const fan = this.#fans.get(streamKey(stream));
    if (!fan) return;
    if (fan.members.size > 0) this.#beginCatchUp(fan, reason);
    else fan.announced = undefined; // whoever joins next reads from its own place
  }

  #beginCatchUp(fan: LiveFan, reason: string): void {
    this.#catchUp.begin(fan, reason, (held) => {
      for (const entry of held) this.#deliver(entry);
    });
  }

  /** `isRepeated`: most have had it already, so that it says nothing of latency. */
  #fanOut(fan: LiveFan | undefined, entry: Entry, isRepeated = false): void {
    if (!fan) return;
    const { position } = entry;
    const { flusher, traces, clock, metrics } = this.#deps;
    const startedAt = clock.monotonic();
    const trace = entry.notification.trace !== undefined && traces?.isOn ? traces.fanOut(entry) : undefined;
    const frame = this.encode(entry, fan, trace?.delivery);
    if (!frame) return;
    const { audience } = entry.notification.metadata;
    flusher.published(frame);
    let handed = 0;
    let live = 0;
    for (const session of fan.members) {
      const held = session.joining?.get(fan);
      if (!held && fan.hasHad(session, position)) continue;
      if (held && position) held.first ??= position;
      if (audience && !isAddressed(audience, session)) continue;
      handed++;
      if (held) this.#hold(session, held, frame);
      else flusher.enqueue(session, frame);
      if (!held && !session.blocked && !session.ended) live++;
    }
    trace?.end(handed);
    metrics.fannedOut(clock.monotonic() - startedAt);
    if (live > 0 && !isRepeated) flusher.measure(frame);
    flusher.urge(frame);
  }

  #hold(session: Session, held: Held, frame: Frame): void {
    if (held.gap === "overflow") return;
    held.frames.push(frame);
    held.bytes += frame.bytes;
    if (held.bytes <= this.#deps.sendQueueBytes()) return;
    held.frames = [];
    held.gap = "overflow";
    if (session.full) return;
    this.#deps.metrics.gap("overflow", 1);
    this.#deps.overflow(session); // it knows no `gap`: it has to come back
  }

  #tellHole(fan: LiveFan | undefined, reason: string, position: Position): void {
    if (!fan) return;
    this.#deps.log.warn("hub.gap", { stream: fan.stream.kind, tenant: fan.stream.tenant, reason });
    const frame = gapFrame(fan, reason, position);
    let sessions = 0;
    for (const session of fan.members) {
      const held = session.joining?.get(fan);
      if (held)
        held.gap ??= reason; // counted when it is told
      else if (!fan.isAhead(session, position)) {
        sessions++;
        this.#tell(session, frame);
      }
    }
    this.#deps.metrics.gap(reason, sessions);
  }

  #tell(session: Session, gap: Frame): void {
    if (session.full) this.#deps.flusher.enqueue(session, gap);
  }

  /** Leaves streams that nobody has listened to for a while. Call about once a second; never rejects. */
  async sweep(): Promise<void> {
    const before = this.#deps.clock.monotonic() - LINGER_MS;
    for (const [fan, since] of this.#empty) {
      if (since > before) return; // in order of time
      this.#empty.delete(fan);
      this.#fans.delete(fan.key);
      try {
        await this.#deps.bus.leave(fan.stream);
      } catch (error) {
        this.#deps.log.warn("hub.leave_failed", { stream: fan.stream.kind, error: String(error) });
      }
    }
  }
}

const nothingHeld = ({ announced }: Fan): Held => ({ frames: [], bytes: 0, since: announced, first: undefined, gap: undefined });

/** Whether entries between what was read and what was held back were neither: the read was begun before the session came. */
function isMissing({ since, first }: Held, from: Position): boolean {
  if (since?.epoch === from.epoch && since.offset > from.offset) return true;
  return first !== undefined && (first.epoch !== from.epoch || first.offset > from.offset + 1);
}
