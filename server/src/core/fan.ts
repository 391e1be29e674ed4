// Why: one stream as this node fans it out: its names, encoded once. Who listens is the hub's to know.
// It must never outlive its last listener for long: the hub drops it.
import { type Position, streamHash } from "@nexus/protocol/cursor.ts";
import type { Entry, StreamId } from "./ports.ts";
import { streamKey, wireName } from "./streams.ts";

/** Live entries of a stream that is being read again. `again`: announcements were interrupted once more meanwhile. */
export type Catching = { readonly held: Entry[]; again: boolean };

export class Fan {
  readonly stream: StreamId;
  readonly key: string;
  readonly wire: string;
  readonly wireJson: string;
  /** Resolves once announcements flow; undefined while nobody asked. */
  listening: Promise<void> | undefined;
  /** Names the stream in cursors. */
  readonly hash: bigint;
  /** The last entry announced here; undefined until there was one. */
  announced: Position | undefined;
  /** Id of the notification there, where this node has had it: a store that lost entries may give its place to another. */
  announcedId: string | undefined;
  /** Set while the node reads what it may have missed; live entries are held back then. */
  catching: Catching | undefined;

  constructor(stream: StreamId) {
    this.stream = stream;
    this.key = streamKey(stream);
    ({ wire: this.wire, wireJson: this.wireJson, hash: this.hash } = namesOf(stream));
  }
}

type Names = { readonly wire: string; readonly wireJson: string; readonly hash: bigint };

function name(wire: string): Names {
  return { wire, wireJson: JSON.stringify(wire), hash: streamHash(wire) };
}

/** Every user has an inbox, and all are called the same: the names are shared. */
const INBOX = name("user");
const namesOf = (stream: StreamId): Names => (stream.kind === "inbox" ? INBOX : name(wireName(stream)));
