// Why: between the bus, which announces entries per stream, and the sessions of this node that listen to them.
// It must never deliver an entry twice to a session, or one that lies before the place the session joined at.
import type { ClusterSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { Position } from "@nexus/protocol/cursor.ts";
import { isAddressed } from "./audience.ts";
import { Fan } from "./fan.ts";
import type { Flusher } from "./flusher.ts";
import { entryFrame, type Frame, gapFrame, NOWHERE } from "./frame.ts";
import { Members } from "./members.ts";
import type { Bus, BusListener, Clock, Entry, Log, StreamId, StreamStore, Tenants } from "./ports.ts";
import type { Held, Session } from "./session.ts";
import { slowConsumerPolicy, streamKey } from "./streams.ts";

/** How long a stream without listeners stays subscribed, in milliseconds: reconnecting clients find it ready. */
const LINGER_MS = 5000;
/** One for all streams that announcements flow for. */
const LISTENING = Promise.resolve();

/** A stream with the sessions of this node that listen to it. */
class LiveFan extends Fan {
  readonly members = new Members<Session>();
}

/** A frame, and the settings it was made under. */
type Encoded = { readonly fan: Fan; readonly settings: readonly [ClusterSettings, TenantSettings | undefined]; readonly frame: Frame };

export type HubDeps = {
  readonly bus: Bus;
  readonly store: Pick<StreamStore, "top">;
  readonly tenants: Tenants;
  readonly clock: Clock;
  readonly log: Log;
  readonly flusher: Flusher;
  readonly sendQueueBytes: () => number;
  readonly overflow: (session: Session) => void;
};

export class Hub {
  readonly #deps: HubDeps;
  readonly #fans = new Map<string, LiveFan>();
  /** Streams without listeners, and since when (monotonic milliseconds). */
  readonly #empty = new Map<LiveFan, number>();
  readonly #active: Record<StreamId["kind"], number> = { inbox: 0, channel: 0, broadcast: 0 };
  readonly #listener: BusListener;
  /** A memo: an entry is the same object for every reader as long as its engine keeps it. */
  readonly #kept = new WeakMap<Entry, Encoded>();

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.#listener = {
      onEntry: (entry) => this.#deliver(entry),
      onGap: (stream, reason) => void this.#tellGap(stream, reason),
    };
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
    session.joining.set(fan, { frames: [], bytes: 0, first: undefined, gap: undefined });
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
    if (!session.joining.has(fan)) session.joining.set(fan, { frames: [], bytes: 0, first: undefined, gap: undefined });
  }

  /** Delivers what was held back, without entries at or before `from`, and goes live; says so when something is missing between. */
  release(session: Session, fan: Fan, from: Position): void {
    const held = session.joining?.get(fan);
    session.joining?.delete(fan);
    if (session.joining?.size === 0) session.joining = undefined;
    if (!held) return;
    fan.announced ??= from.epoch === NOWHERE.epoch ? undefined : from;
    const reason = held.gap ?? missing(held, from);
    if (reason !== undefined) this.#tell(session, gapFrame(fan, reason, held.gap === "overflow" ? (fan.announced ?? from) : from));
    for (const frame of held.frames) {
      const position = frame.entry?.position;
      if (!position || position.epoch !== from.epoch || position.offset > from.offset) this.#deps.flusher.enqueue(session, frame);
    }
  }

  leave(session: Session, { key, stream }: Fan): void {
    const fan = this.#fans.get(key);
    if (!fan) return;
    session.joining?.delete(fan);
    if (!fan.members.delete(session) || fan.members.size > 0) return;
    this.#active[stream.kind]--;
    this.#empty.set(fan, this.#deps.clock.monotonic());
  }

  /** Encodes an entry for one stream; the policy is looked up once for all listeners. */
  encode(entry: Entry, fan: Fan): Frame | undefined {
    const cluster = this.#deps.tenants.cluster();
    const tenant = this.#deps.tenants.tenant(fan.stream.tenant);
    if (!tenant) return undefined; // removed while the entry was on its way
    const marks = fan.stream.kind === "inbox" && tenant.quotas.inbox.mode === "Delivered";
    return entryFrame(entry, fan, { policy: slowConsumerPolicy(fan.stream, cluster, tenant), marks });
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
    const { position } = entry;
    const hole = position && follow(fan, position);
    if (fan.members.size === 0) return;
    if (hole !== undefined && position) this.#tellHole(fan, hole, { epoch: position.epoch, offset: position.offset - 1 });
    const frame = this.encode(entry, fan);
    if (!frame) return;
    const { flusher } = this.#deps;
    const { audience } = entry.notification.metadata;
    flusher.published(frame);
    for (const session of fan.members) {
      const held = session.joining?.get(fan);
      if (held && position) held.first ??= position;
      if (audience && !isAddressed(audience, session)) continue;
      if (held) this.#hold(session, held, frame);
      else flusher.enqueue(session, frame);
    }
    flusher.urge(frame);
  }

  #hold(session: Session, held: Held, frame: Frame): void {
    if (held.gap === "overflow") return;
    held.frames.push(frame);
    held.bytes += frame.bytes;
    if (held.bytes <= this.#deps.sendQueueBytes()) return;
    held.frames = [];
    held.gap = "overflow";
    if (!session.full) this.#deps.overflow(session); // it knows no `gap`: it has to come back
  }

  #tellHole(fan: LiveFan, reason: string, position: Position): void {
    this.#deps.log.warn("hub.hole", { stream: fan.stream.kind, tenant: fan.stream.tenant, reason });
    const frame = gapFrame(fan, reason, position);
    for (const session of fan.members) {
      const held = session.joining?.get(fan);
      if (held) held.gap ??= reason;
      else this.#tell(session, frame);
    }
  }

  #tell(session: Session, gap: Frame): void {
    if (session.full) this.#deps.flusher.enqueue(session, gap);
  }

  async #tellGap(stream: StreamId, reason: string): Promise<void> {
    const fan = this.#fans.get(streamKey(stream));
    if (!fan) return;
    try {
      const top = await this.#deps.store.top(stream);
      fan.announced = top;
      this.#tellHole(fan, reason, top);
    } catch (error) {
      // Silence would be a lie: whoever cannot be told where it stands has to come back and ask.
      this.#deps.log.warn("hub.gap_unknown", { stream: fan.stream.kind, error: String(error) });
      for (const session of fan.members) this.#deps.overflow(session);
    }
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

/** Notes an announced entry; the reason when it does not follow the one before. Late ones are no hole. */
function follow(fan: Fan, position: Position): string | undefined {
  const last = fan.announced;
  const isNewEpoch = last !== undefined && position.epoch !== last.epoch;
  if (last === undefined || isNewEpoch || position.offset > last.offset) fan.announced = position;
  if (isNewEpoch) return "epoch_changed";
  return last !== undefined && position.offset > last.offset + 1 ? "hole" : undefined;
}

/** Why the first live entry does not follow what was read, if so. */
function missing({ first }: Held, from: Position): string | undefined {
  if (first === undefined || from.epoch === NOWHERE.epoch) return undefined;
  if (first.epoch !== from.epoch) return "epoch_changed";
  return first.offset > from.offset + 1 ? "hole" : undefined;
}
