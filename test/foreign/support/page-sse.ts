// Why: lets a page in Chromium hold event streams, by the browser's own EventSource or by a library that is bundled for it.
// It must never reconnect for them.

import type { Site } from "./browser.ts";
import { SSE_EVENTS, type SseClient, SseStream, type SseTold } from "./sse-client.ts";

/** `script` defines `openStream({id, url, headers})` and answers how to close it; it calls `tell(id, told)`. */
export async function startPageSse(site: Site, script: string): Promise<SseClient> {
  const page = await site.page(`globalThis.EVENTS = ${JSON.stringify(SSE_EVENTS)};\n${script}`);
  const streams = new Map<number, SseStream>();
  let last: Promise<void> = Promise.resolve();
  // In order; a failure is not lost: it fails whoever disposes the client.
  const perform = (code: string) => {
    last = last.then(async () => void (await page.evaluate(code)));
  };
  await page.exposeFunction("tell", (id: number, told: SseTold) => streams.get(id)?.take(told));
  await page.waitForFunction("globalThis.openStream !== undefined");
  await page.evaluate("globalThis.closers = new Map()");
  return {
    open(url, headers = {}) {
      const id = streams.size;
      const stream = new SseStream(() => perform(`closers.get(${id})()`));
      streams.set(id, stream);
      perform(`void closers.set(${id}, openStream(${JSON.stringify({ id, url, headers })}))`);
      return stream;
    },
    async [Symbol.asyncDispose]() {
      await last;
      await page.close();
    },
  };
}

/** A browser tells the server's `error` events and its own by one name: only the server's carry data. */
export const NATIVE_EVENT_SOURCE = `
  globalThis.openStream = ({ id, url }) => {
    const source = new EventSource(url);
    source.onopen = () => tell(id, { kind: "open" });
    for (const type of EVENTS) source.addEventListener(type, ({ data, lastEventId }) => {
      if (data === undefined) tell(id, { kind: "failure", isFinal: source.readyState === EventSource.CLOSED });
      else tell(id, { kind: "event", type, data, lastEventId });
    });
    return () => source.close();
  };
`;
