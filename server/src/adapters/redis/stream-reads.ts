// Why: a read of many entries is several short looks at Redis, none of which keeps it for long, and one answer.
// It must never join two looks between which the stream changed its epoch, or lost what lies between them.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Entry, Page, PageRequest, ReadResult, StreamId, StreamStore } from "../../core/ports.ts";
import type { Reply } from "./link.ts";
import type { StreamCalls } from "./stream-calls.ts";
import { entryOf, listOf, numberOf, positionOf, textOf } from "./stream-reply.ts";
import { PAGE, READ, UNREAD, UNREAD_COUNT } from "./stream-scripts.ts";

type Unread = Awaited<ReturnType<StreamStore["unread"]>>;

/** Each look asks again whether the rest is whole, so that all of them are one whole read. */
export async function readStream(calls: StreamCalls, stream: StreamId, since: Position): Promise<ReadResult> {
  const entries: Entry[] = [];
  for (let after = since.offset; ; ) {
    const [reason, epoch, offset, next, ...found] = listOf(await calls.run(READ, stream, [since.epoch, after]));
    const top = positionOf(epoch, offset);
    const why = textOf(reason);
    if (why !== "") return { kind: "not_recovered", reason: reasonOf(why), top };
    addEntries(entries, stream, { epoch: top.epoch, found });
    after = numberOf(next);
    if (after >= top.offset) return { kind: "recovered", entries, top };
  }
}

/** An epoch that changed on the way begins again: what was read belongs to what is gone. */
export async function readUnread(calls: StreamCalls, inbox: StreamId): Promise<Unread> {
  let entries: Entry[] = [];
  let from: Position | undefined;
  for (;;) {
    const [epoch, offset, next, ...found] = listOf(await calls.run(UNREAD, inbox, [from?.offset ?? 0]));
    const top = positionOf(epoch, offset);
    if (from && from.epoch !== top.epoch) {
      entries = [];
      from = undefined;
      continue;
    }
    addEntries(entries, inbox, { epoch: top.epoch, found });
    from = positionOf(epoch, next);
    if (from.offset >= top.offset) return { entries, top };
  }
}

export async function countUnread(calls: StreamCalls, inbox: StreamId): Promise<number> {
  let count = 0;
  for (let after = 0; ; ) {
    const [found, top, next] = listOf(await calls.run(UNREAD_COUNT, inbox, [after]));
    count += numberOf(found);
    after = numberOf(next);
    if (after >= numberOf(top)) return count;
  }
}

/** The top is the one of the first look: nothing above it is on the page. */
export async function readPage(calls: StreamCalls, stream: StreamId, request: PageRequest): Promise<Page> {
  const entries: Page["entries"][number][] = [];
  let top: Position | undefined;
  for (let before = request.before ?? Number.MAX_SAFE_INTEGER; ; ) {
    const reply = listOf(await calls.run(PAGE, stream, [before, request.limit - entries.length]));
    const [epoch, offset, next, more, ...found] = reply;
    top ??= positionOf(epoch, offset);
    if (top.epoch !== textOf(epoch)) return readPage(calls, stream, request);
    for (let i = 0; i < found.length; i += 3) {
      const position = positionOf(epoch, found[i]);
      entries.push({ entry: entryOf(stream, position, found[i + 2]), unread: stream.kind === "inbox" && numberOf(found[i + 1]) === 1 });
    }
    before = numberOf(next);
    if (before === 0) return { entries, top, more: numberOf(more) === 1 };
  }
}

/** `found`: offset and text by turns. */
function addEntries(
  entries: Entry[],
  stream: StreamId,
  { epoch, found }: { readonly epoch: string; readonly found: readonly Reply[] },
): void {
  for (let i = 0; i < found.length; i += 2) entries.push(entryOf(stream, positionOf(epoch, found[i]), found[i + 1]));
}

type Reason = Extract<ReadResult, { kind: "not_recovered" }>["reason"];
const REASONS: readonly Reason[] = ["epoch_changed", "window_exceeded", "unverifiable"];
const reasonOf = (text: string): Reason => REASONS.find((reason) => reason === text) ?? "unverifiable";
