// Why: a watch is one JSON document per line, cut into chunks anywhere, also inside a character. Lines are cut as bytes
// and decoded whole, so no character is ever torn. It must never hold more than one line of bounded size.

/** Splits chunks into lines; a line above `maxBytes` throws `RangeError`, because it would have to be held in memory. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Calls `onLine` for every line that `chunk` completes, without the newline; empty lines are skipped. */
  push(chunk: Uint8Array, onLine: (line: string) => void): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = this.#complete(chunk.subarray(start, end));
      start = end + 1;
      if (line !== "") onLine(line);
    }
    if (start < chunk.length) this.#keep(chunk.slice(start));
  }

  /** Bytes of an unfinished line: more than 0 at the end means the stream was cut. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  #keep(part: Uint8Array): void {
    this.#check(part.length);
    this.#pending.push(part);
    this.#pendingBytes += part.length;
  }

  #complete(last: Uint8Array): string {
    this.#check(last.length);
    if (this.#pendingBytes === 0) return this.#decoder.decode(last);
    const line = this.#decoder.decode(Buffer.concat([...this.#pending, last]));
    this.#pending = [];
    this.#pendingBytes = 0;
    return line;
  }

  #check(more: number): void {
    if (this.#pendingBytes + more > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
  }
}
