// Why: a listener that does not read is made the same way in every table: its kernel's buffers are filled first, then the
// server's queue. It must never take longer than its buffers need.
import { connect } from "node:net";
import { eventually } from "../../support/eventually.ts";
import type { SseEvent } from "../../support/sse-client.ts";
import type { WsClient } from "../../support/ws-client.ts";
import type { Pod } from "./pod.ts";

export const CHANNEL = "flood";
/** Of one notification, near the largest that a body may have. */
const PAYLOAD = "x".repeat(60_000);
/** 18 MB: more than the kernel's buffers on loopback take. */
const MANY = 300;

/** A socket that holds the channel and does not read. */
export async function deafSocket(pod: Pod, user: string, channel = CHANNEL): Promise<WsClient> {
  const client = await pod.seated(user);
  await client.ask({ type: "Subscribe", payload: { channels: [channel] } }, "subscribed");
  client.stopReading();
  return client;
}

export type DeafStream = AsyncDisposable & {
  /** The server has let the session go. */
  gone(): Promise<unknown>;
  /** Reads now, to the end. */
  lastEvent(): Promise<SseEvent>;
};

/** The same over SSE. */
export async function deafStream(pod: Pod, user: string): Promise<DeafStream> {
  const { hostname, port, pathname, search } = new URL(await pod.address("/sse", user));
  const socket = connect({ host: hostname, port: Number(port) });
  let ended = false;
  let text = "";
  socket.pause();
  socket.on("data", (chunk) => {
    text = (text + chunk.toString("latin1")).slice(-200_000);
  });
  socket.on("close", () => {
    ended = true;
  });
  socket.write(`GET ${pathname}${search}&channels=${CHANNEL} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  const sessions = async () => Number((await pod.admin("GET", "/admin/status")).body.sessions);
  await eventually("the listener to hold its channel", async () => (await pod.rest("GET", `/api/v1/channels/${CHANNEL}`)).status === 200);
  return {
    gone: () => eventually("the session to be let go", async () => (await sessions()) === 0),
    async lastEvent() {
      socket.resume();
      await eventually("the end of the stream", () => ended || text.endsWith("0\r\n\r\n"));
      const [, event = "", data = "{}"] = [...text.matchAll(/event: (\S+)\n(?:id: \S*\n)?data: (\{[^\n]*\})\n/g)].at(-1) ?? [];
      return { event, id: undefined, retryMs: undefined, data: JSON.parse(data) as SseEvent["data"] }; // the server's data is always an object
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await eventually("the connection to be gone", () => ended);
    },
  };
}

/** Publishes more than a listener's kernel takes. */
export async function flood(pod: Pod, channel = CHANNEL, count = MANY): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { status } = await pod.rest("POST", "/api/v1/notifications/channel", {
      body: { channel, event_type: "e", payload: { n, text: PAYLOAD } },
    });
    if (status !== 200) throw new Error(`the publish was answered ${status}`);
  }
}
