// Why: a node that may have missed announcements reads what was kept since the last one, so that its listeners get
// entries where others would only be told of a gap. It must never pass over what cannot be proved whole in silence.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Defer } from "./defer.ts";
import type { Catching, Fan } from "./fan.ts";
import { NOWHERE } from "./frame.ts";
import { Gate } from "./gate.ts";
import type { Entry, Log, ReadResult, StreamId, StreamStore } from "./ports.ts";

/** Streams that are read at once: after an interruption all of a node's want to be. */
const READS_AT_ONCE = 64;
/** Live entries held back for one stream; when there are more the oldest go, and are read from the store. */
const HELD_ENTRIES = 1000;
/** Entries before the last one known that are handed out again when an epoch begins: some of them may have been replaced. */
const REPEATED_ENTRIES = 16;
/** Between two tries while the store is away, in milliseconds: doubled from the first to the second. */
const RETRY_MS = { first: 100, most: 2000 };

export type CatchUpDeps = {
  readonly store: Pick<StreamStore, "read" | "seen" | "top">;
  readonly log: Log;
  readonly defer: Defer;
  /** Whether the stream keeps history, by the configuration of now. */
  readonly isKept: (stream: StreamId) => boolean;
  readonly hasListeners: (fan: Fan) => boolean;
  /** Hands an entry to this node's listeners. `isRepeated`: most of them have had it. */
  readonly deliver: (fan: Fan, entry: Entry, isRepeated: boolean) => void;
  /** Tells them that entries may be missing before `position`. */
  readonly tellGap: (fan: Fan, reason: string, position: Position) => void;
};

export class CatchUp {
  readonly #deps: CatchUpDeps;
  readonly #gate = new Gate(READS_AT_ONCE);

  constructor(deps: CatchUpDeps) {
    this.#deps = deps;
  }

  /**
   * Holds live entries of the stream back and reads what came after `fan.announced`. `resume` is then given, in order, the
   * live entries that were held back. Never throws.
   */
  begin(fan: Fan, reason: string, resume: (held: readonly Entry[]) => void): void {
    if (fan.catching) {
      fan.catching.again = true;
      return;
    }
    const catching: Catching = { held: [], again: false };
    fan.catching = catching;
    const finish = () => {
      fan.catching = undefined; // at once: whoever begins from now on begins anew
      resume(catching.held);
    };
    void this.#run(fan, catching, { reason, finish });
  }

  /** An entry that was announced while the stream is being caught up with. */
  hold({ held }: Catching, entry: Entry): void {
    held.push(entry);
    if (held.length > HELD_ENTRIES) held.splice(0, HELD_ENTRIES / 2); // what is missing before the rest is read afterwards
  }

  async #run(fan: Fan, catching: Catching, { reason, finish }: { readonly reason: string; readonly finish: () => void }): Promise<void> {
    for (let waitMs = RETRY_MS.first; this.#deps.hasListeners(fan); ) {
      catching.again = false;
      try {
        await this.#gate.pass(() => this.#attempt(fan, reason));
        if (!catching.again) return finish();
      } catch (error) {
        this.#deps.log.debug("hub.catch_up_failed", { stream: fan.stream.kind, error: String(error) });
        await new Promise<void>((resolve) => this.#deps.defer(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, RETRY_MS.most);
      }
    }
    fan.announced = undefined; // nobody listens: whoever comes next finds its own place
    fan.announcedId = undefined;
    finish();
  }

  async #attempt(fan: Fan, reason: string): Promise<void> {
    const { store, isKept, deliver, tellGap } = this.#deps;
    const since = fan.announced;
    if (!isKept(fan.stream)) {
      tellGap(fan, reason, NOWHERE);
      return;
    }
    if (since === undefined) {
      fan.announced = await store.top(fan.stream);
      fan.announcedId = undefined;
      tellGap(fan, reason, fan.announced);
      return;
    }
    const { read, isOther } = await this.#read(fan, since);
    if (fan.announced !== since) return; // somebody stepped back meanwhile, and asked for another turn
    if (read.kind === "recovered" && !isOther) {
      fan.announced = read.top;
      fan.announcedId = read.top.offset === since.offset ? fan.announcedId : idAt(read.entries.at(-1), read.top);
      for (const entry of read.entries) if (entry.position && entry.position.offset > since.offset) deliver(fan, entry, false);
      return;
    }
    const isBehind = isOther || (read.top.epoch === since.epoch && read.top.offset < since.offset);
    const top = isBehind
      ? await store.seen(fan.stream, isOther ? { epoch: since.epoch, offset: Number.MAX_SAFE_INTEGER } : since)
      : read.top;
    if (top.epoch === since.epoch) this.#goOn(fan, top, { reason: read.kind === "recovered" ? reason : read.reason, entries: [] });
    else await this.#beginEpoch(fan, top, since);
  }

  /**
   * The stream goes on in another epoch. What was lost nobody can say; what came about then and after it is handed out once
   * more behind the `gap`, because it may be new: a client knows what it had by its id.
   */
  async #beginEpoch(fan: Fan, top: Position, since: Position): Promise<void> {
    const offset = Math.max(0, Math.min(since.offset - 1, top.offset) - REPEATED_ENTRIES);
    const read = offset < top.offset ? await this.#deps.store.read(fan.stream, { epoch: top.epoch, offset }) : undefined;
    const entries = read?.kind === "recovered" ? read.entries : [];
    this.#goOn(fan, read?.top ?? top, { reason: "epoch_changed", entries });
  }

  /** The gap is told at the place before `entries`, or at the top where there are none. */
  #goOn(fan: Fan, top: Position, { reason, entries }: { readonly reason: string; readonly entries: readonly Entry[] }): void {
    const first = entries[0]?.position;
    fan.announced = top;
    fan.announcedId = idAt(entries.at(-1), top);
    this.#deps.tellGap(fan, reason, first ? { epoch: first.epoch, offset: first.offset - 1 } : top);
    for (const entry of entries) this.#deps.deliver(fan, entry, true);
  }

  /**
   * What came after `since`, read from the entry at `since` on where it is known: a store that lost entries and has grown
   * again looks whole, but has another one there (`isOther`).
   */
  async #read(fan: Fan, since: Position): Promise<{ readonly read: ReadResult; readonly isOther: boolean }> {
    const { store } = this.#deps;
    const id = fan.announcedId;
    if (id !== undefined && since.offset > 0) {
      const read = await store.read(fan.stream, { ...since, offset: since.offset - 1 });
      const there = read.kind === "recovered" ? idAt(read.entries[0], since) : undefined;
      if (read.kind === "recovered" && read.top.offset >= since.offset) return { read, isOther: there !== undefined && there !== id };
    }
    return { read: await store.read(fan.stream, since), isOther: false };
  }
}

/** The id of the notification at this place, if `entry` is the one there. */
const idAt = (entry: Entry | undefined, { epoch, offset }: Position): string | undefined =>
  entry?.position?.epoch === epoch && entry.position.offset === offset ? entry.notification.id : undefined;
