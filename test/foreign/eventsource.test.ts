// Why: the package that most programs outside a browser use for server-sent events.
import { EventSource } from "eventsource";
import { SSE_EVENTS, type SseClient, SseStream } from "./support/sse-client.ts";
import { sseSuite } from "./support/sse-suite.ts";

function startClient(): SseClient {
  const open = new Set<EventSource>();
  return {
    open(url, headers = {}) {
      const source = new EventSource(url, { fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }) });
      open.add(source);
      const stream = new SseStream(() => source.close());
      source.onopen = () => stream.take({ kind: "open" });
      for (const type of SSE_EVENTS) {
        source.addEventListener(type, (event) => {
          if (event instanceof MessageEvent) stream.take({ kind: "event", type, data: String(event.data), lastEventId: event.lastEventId });
          else stream.take({ kind: "failure", isFinal: source.readyState === EventSource.CLOSED });
        });
      }
      return stream;
    },
    async [Symbol.asyncDispose]() {
      for (const source of open) source.close();
    },
  };
}

sseSuite("eventsource", { sendsHeaders: true }, async () => startClient());
