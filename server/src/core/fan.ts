// Why: one stream as this node fans it out: its names, encoded once. Who listens is the hub's to know.
// It must never outlive its last listener for long: the hub drops it.
import type { StreamId } from "./ports.ts";
import { streamKey, wireName } from "./streams.ts";

export class Fan {
  readonly stream: StreamId;
  readonly key: string;
  readonly wire: string;
  readonly wireJson: string;
  /** Resolves once announcements flow; undefined while nobody asked. */
  listening: Promise<void> | undefined;
  /** Epoch the store last answered, for `gap` frames of streams without offsets. */
  epoch = "0";

  constructor(stream: StreamId) {
    this.stream = stream;
    this.key = streamKey(stream);
    this.wire = wireName(stream);
    this.wireJson = JSON.stringify(this.wire);
  }
}
