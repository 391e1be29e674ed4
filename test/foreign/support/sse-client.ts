// Why: clients of server-sent events differ in where they run and in what they tell; the same suite is put to all. This is the
// little that all of them do. It must never reconnect by itself: whether and how a client does is what is tested.
import { eventually } from "../../support/eventually.ts";

/** Events of the server that a browser has to be told to listen to. */
export const SSE_EVENTS = ["connected", "notification", "heartbeat", "error", "subscribed", "gap", "shutdown"] as const;

/** What a client tells, in its order. `failure`: the connection is gone or was refused; `isFinal`: it will not come back by itself. */
export type SseTold =
  | { readonly kind: "open" }
  | { readonly kind: "event"; readonly type: string; readonly data: string; readonly lastEventId: string }
  | { readonly kind: "failure"; readonly isFinal: boolean };

export type SseEvent = { readonly type: string; readonly data: Record<string, unknown>; readonly lastEventId: string };

/** `headers`: only where the client can send some. */
export type SseClient = AsyncDisposable & {
  open(url: string, headers?: Readonly<Record<string, string>>): SseStream;
};

const WAIT = { intervalMs: 5 };

export class SseStream {
  readonly told: SseTold[] = [];
  readonly events: SseEvent[] = [];
  readonly #close: () => void;

  constructor(close: () => void) {
    this.#close = close;
  }

  take(told: SseTold): void {
    this.told.push(told);
    if (told.kind !== "event") return;
    const { type, data, lastEventId } = told;
    this.events.push({ type, data: JSON.parse(data) as Record<string, unknown>, lastEventId }); // every event of the server carries an object
  }

  close(): void {
    this.#close();
  }

  /** Takes the oldest event of a type, waiting for it. */
  next(type: string): Promise<SseEvent> {
    return eventually(
      `a ${type} event`,
      () => {
        const at = this.events.findIndex((event) => event.type === type);
        return at < 0 ? undefined : this.events.splice(at, 1)[0];
      },
      WAIT,
    );
  }

  /** The client has connected that many times. */
  async opened(times = 1): Promise<void> {
    await eventually(`connection number ${times}`, () => this.told.filter(({ kind }) => kind === "open").length >= times, WAIT);
  }

  /** The client has given up for good. */
  async gaveUp(): Promise<void> {
    await eventually("the client to give up", () => this.told.some((told) => told.kind === "failure" && told.isFinal), WAIT);
  }
}
