// Why: "who wrote what since then", asked often and by many at once, without reading the whole audit log each time. It reads
// each byte once and keeps writes alone. It must never lose a line: half a line waits for its end.
import { closeSync, openSync, readSync } from "node:fs";
import { type AuditEvent, isWrite } from "./audit.ts";

const CHUNK_BYTES = 1024 * 1024;

export class AuditTail {
  readonly #path: string;
  readonly #wanted: (event: AuditEvent) => boolean;
  readonly #writes: AuditEvent[] = [];
  #offset = 0;
  #rest = Buffer.alloc(0);

  /** `wanted`: which writes are kept. */
  constructor(path: string, wanted: (event: AuditEvent) => boolean) {
    this.#path = path;
    this.#wanted = wanted;
  }

  /** Every wanted write answered so far, in log order. The log is written before the answer is. */
  writes(): readonly AuditEvent[] {
    const file = openSync(this.#path, "r");
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let read = readSync(file, chunk, 0, CHUNK_BYTES, this.#offset); read > 0; ) {
        this.#offset += read;
        this.#take(chunk.subarray(0, read));
        read = readSync(file, chunk, 0, CHUNK_BYTES, this.#offset);
      }
    } finally {
      closeSync(file);
    }
    return this.#writes;
  }

  #take(bytes: Buffer): void {
    const text = Buffer.concat([this.#rest, bytes]);
    let from = 0;
    for (let end = text.indexOf(10, from); end >= 0; end = text.indexOf(10, from)) {
      const event = JSON.parse(text.toString("utf8", from, end)) as AuditEvent; // the API server's own format
      if (isWrite(event) && this.#wanted(event)) this.#writes.push(event);
      from = end + 1;
    }
    this.#rest = Buffer.from(text.subarray(from));
  }
}
