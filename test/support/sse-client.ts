// Why: an SSE client that shows a test everything: status, headers, each event with its id and retry, and the stream's end.
// It parses by WHATWG HTML section 9.2.6 and keeps every event until the test takes it.
import { eventually, PATIENCE_MS } from "./eventually.ts";

export type SseEvent = {
  readonly event: string;
  readonly id: string | undefined;
  readonly retryMs: number | undefined;
  readonly data: Readonly<Record<string, unknown>>;
};

export class SseClient implements AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  readonly events: SseEvent[] = [];
  comments = 0;
  /** Id of the last event that had one: what a browser would send as `Last-Event-ID`. */
  lastEventId = "";
  ended = false;
  /** What came instead of a stream. */
  readonly body: string;
  readonly #abort: AbortController;

  private constructor(response: Response, body: string, abort: AbortController) {
    this.status = response.status;
    this.headers = response.headers;
    this.body = body;
    this.#abort = abort;
    if (response.status === 200) void this.#read(response);
    else this.ended = true;
  }

  static async connect(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SseClient> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: abort.signal });
    return new SseClient(response, response.status === 200 ? "" : await response.text(), abort);
  }

  /** Takes the oldest event of a type, waiting for it. */
  next(event: string, timeoutMs = PATIENCE_MS): Promise<SseEvent> {
    return eventually(
      `an SSE event ${event}`,
      () => {
        const at = this.events.findIndex((one) => one.event === event);
        return at < 0 ? undefined : this.events.splice(at, 1)[0];
      },
      { intervalMs: 2, timeoutMs },
    );
  }

  ending(timeoutMs = PATIENCE_MS): Promise<true> {
    return eventually("the stream to end", () => this.ended || undefined, { intervalMs: 2, timeoutMs }) as Promise<true>; // only true is an answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.ending();
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of response.body ?? []) {
        const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error; // a reset shows in the test as the stream's end
    } finally {
      this.ended = true;
    }
  }

  #take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      if (line.startsWith(":")) this.comments++;
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ""));
    }
    const data = fields.get("data");
    const id = fields.get("id");
    if (id !== undefined) this.lastEventId = id;
    if (data === undefined) return;
    const retry = fields.get("retry");
    this.events.push({
      event: fields.get("event") ?? "message",
      id,
      retryMs: retry === undefined ? undefined : Number(retry),
      data: JSON.parse(data) as SseEvent["data"], // the server's data is always an object
    });
  }
}
