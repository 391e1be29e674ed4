// Why: runs in a page, bundled: `@microsoft/fetch-event-source` as its documentation shows it, told to come back after a
// stream that ended, and to give up after an answer that is no stream.
import { EventStreamContentType, fetchEventSource } from "@microsoft/fetch-event-source";

type Asked = { readonly id: number; readonly url: string; readonly headers: Record<string, string> };
declare const tell: (id: number, told: unknown) => void;

class Refused extends Error {}

function openStream({ id, url, headers }: Asked): () => void {
  const stop = new AbortController();
  const stream = fetchEventSource(url, {
    ...{ headers, signal: stop.signal, openWhenHidden: true },
    async onopen(answer) {
      if (answer.status !== 200 || !answer.headers.get("content-type")?.startsWith(EventStreamContentType)) throw new Refused();
      tell(id, { kind: "open" });
    },
    onmessage: ({ event, data, id: lastEventId }) => {
      if (event !== "") tell(id, { kind: "event", type: event, data, lastEventId });
    },
    onclose() {
      throw new Error("come back");
    },
    onerror(error) {
      if (error instanceof Refused) throw error;
      tell(id, { kind: "failure", isFinal: false });
    },
  });
  stream.catch(() => tell(id, { kind: "failure", isFinal: true }));
  return () => stop.abort();
}

Object.assign(globalThis, { openStream });
