// Why: from "I was here" to live, for every stream and transport alike: live entries are held back, what was kept is read,
// and only a read that proves itself whole is handed out. It must never give a part of history as if it were all of it.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { StreamState } from "@nexus/protocol/frames.ts";
import { isAddressed } from "./audience.ts";
import type { Fan } from "./fan.ts";
import type { Flusher } from "./flusher.ts";
import { type Frame, followed, NOWHERE, type Place } from "./frame.ts";
import type { Hub } from "./hub.ts";
import type { Marks } from "./marks.ts";
import type { Entry, Metrics, ReadResult, StreamStore, Tenants } from "./ports.ts";
import type { Session } from "./session.ts";
import { retentionOf } from "./streams.ts";
import type { DeliveryTraces } from "./trace-delivery.ts";

/** What is written at once while catching up, in bytes. */
const CHUNK_BYTES = 65_536;

export type JoiningDeps = {
  readonly hub: Hub;
  readonly flusher: Flusher;
  readonly marks: Marks;
  readonly tenants: Tenants;
  readonly store: Pick<StreamStore, "top" | "read" | "unread">;
  readonly metrics: Pick<Metrics, "resumed">;
  readonly sendQueueBytes: () => number;
  readonly traces?: DeliveryTraces | undefined;
};

/** Where a session stands in a stream it has just joined. `state.offset` is the place before the first of `entries`. */
export type Located = {
  readonly fan: Fan;
  readonly state: StreamState;
  readonly entries: readonly Entry[];
  /** Live entries up to here are in `entries`, or behind the session. */
  readonly from: Position;
};

export const placeOf = ({ fan, state: { epoch, offset } }: Located): Place => ({ fan, position: { epoch, offset } });

export class Joining {
  readonly #deps: JoiningDeps;
  /** Reads under way: after a restart thousands ask for the same. */
  readonly #reads = new Map<string, Promise<ReadResult>>();

  constructor(deps: JoiningDeps) {
    this.#deps = deps;
  }

  /**
   * What a session missed. It has to listen to `fan` already, so that nothing can come between. `since` wins over the
   * cursor the session came with. Rejects with the store's `Failure`.
   */
  async locate(session: Session, fan: Fan, since?: Position): Promise<Located> {
    const place = await this.#locate(session, fan, since);
    const { outcome } = place.state;
    this.#deps.metrics.resumed(outcome === "not_recovered" ? "gap" : outcome);
    return place;
  }

  async #locate(session: Session, fan: Fan, since?: Position): Promise<Located> {
    const asked = since ?? takePoint(session, fan);
    const cluster = this.#deps.tenants.cluster();
    const tenant = this.#deps.tenants.tenant(session.tenant);
    const isKept = tenant !== undefined && retentionOf(fan.stream, cluster, tenant).entries > 0;
    if (!isKept) return located(fan, { from: NOWHERE, outcome: asked === undefined ? "fresh" : "unverifiable" });
    const read = asked === undefined || asked === "unreadable" ? undefined : await this.#read(fan, asked);
    if (read?.kind === "recovered" && asked !== undefined && asked !== "unreadable") {
      return { ...located(fan, { from: asked, outcome: "recovered" }), entries: forSession(read.entries, session), from: read.top };
    }
    const outcome = read?.kind === "not_recovered" ? read.reason : asked === undefined ? "fresh" : "unverifiable";
    if (fan.stream.kind !== "inbox") return located(fan, { from: read?.top ?? (await this.#deps.store.top(fan.stream)), outcome });
    // Whatever its cursor was worth, a user gets what nobody of theirs has had.
    await this.#deps.marks.settle(fan);
    const { entries, top } = await this.#deps.store.unread(fan.stream);
    return { ...located(fan, { from: startOf(entries, top), outcome }), entries, from: top };
  }

  /** Hands out what was missed, at the client's pace, then goes live. Call it when the session was told where it stands. */
  async deliver(session: Session, { fan, entries, from }: Located): Promise<void> {
    const { hub, flusher } = this.#deps;
    const chunkBytes = Math.min(CHUNK_BYTES, this.#deps.sendQueueBytes());
    for (const entry of entries) {
      const frame = this.#frameOf(entry, fan);
      if (!frame) continue;
      if (session.queuedBytes + frame.bytes > chunkBytes) flusher.write(session);
      if (session.blocked) await new Promise<void>((resolve) => (session.onDrained = resolve));
      if (session.ended) return;
      flusher.enqueue(session, frame);
    }
    hub.release(session, fan, from);
    flusher.write(session);
  }

  #frameOf(entry: Entry, fan: Fan): Frame | undefined {
    const { hub, traces } = this.#deps;
    const frame = hub.encodeKept(entry, fan);
    if (entry.notification.trace === undefined || !traces?.isOn || !frame) return frame;
    return followed(frame, traces.catchUp(entry));
  }

  #read(fan: Fan, since: Position): Promise<ReadResult> {
    const key = `${fan.key}\n${since.epoch}\n${since.offset}`;
    const running = this.#reads.get(key);
    if (running) return running;
    const read = this.#deps.store.read(fan.stream, since).finally(() => this.#reads.delete(key));
    this.#reads.set(key, read);
    return read;
  }
}

/** A point is used once: a stream that is left and joined again later starts fresh. */
function takePoint(session: Session, fan: Fan): Position | "unreadable" | undefined {
  const { resume } = session;
  if (resume === undefined || resume === "unreadable") return resume;
  const point = resume.get(fan.hash);
  if (point === undefined) return undefined;
  const rest = new Map(resume);
  rest.delete(fan.hash);
  session.resume = rest.size > 0 ? rest : undefined;
  return point;
}

type Outcome = "fresh" | "recovered" | NonNullable<StreamState["reason"]>;

function located(fan: Fan, { from, outcome }: { readonly from: Position; readonly outcome: Outcome }): Located {
  const { epoch, offset } = from;
  const told = outcome === "fresh" || outcome === "recovered" ? { outcome } : { outcome: "not_recovered" as const, reason: outcome };
  return { fan, state: { stream: fan.wire, epoch, offset, ...told }, entries: [], from };
}

/** Entries of a broadcast are for their audience only. */
const forSession = (entries: readonly Entry[], session: Session): readonly Entry[] =>
  entries.filter(({ notification: { metadata } }) => isAddressed(metadata.audience, session));

/** Where a reader stands before the first of `entries`, or at `top` when there are none. */
function startOf(entries: readonly Entry[], top: Position): Position {
  const first = entries[0]?.position;
  return first ? { epoch: first.epoch, offset: first.offset - 1 } : top;
}
