// Why: a browser says nothing about a refused handshake, so a wrong token looks like a dead network. One request to the
// sibling endpoint that takes the same tokens tells them apart. It must never decide on a guess (no answer means unknown), nor
// take anything away: what an accepted one is sent counts as delivered, so the place before it is answered.
import type { StreamState } from "@nexus/protocol/frames.ts";
import { readFrame } from "./frames.ts";
import type { Settings } from "./options.ts";

/** `refused`: the server looked at this token and will not have it. Else where the streams stood when it was accepted. */
export type Diagnosis = "refused" | "unknown" | readonly StreamState[];

const PROBE_TIMEOUT_MS = 5_000;
/** `connected` comes first, and is small. */
const MAX_CHARACTERS = 65_536;

/** `address`: that of the refused handshake, its cursor included. */
export async function diagnose(fetch: Settings["fetch"], address: string, token: string): Promise<Diagnosis> {
  if (fetch === false) return "unknown";
  const url = new URL(address);
  url.protocol = url.protocol === "wss:" ? "https:" : "http:";
  url.pathname = url.pathname.replace(/ws$/, "sse");
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PROBE_TIMEOUT_MS);
  try {
    const { status, body } = await fetch(url.href, { headers: { authorization: `Bearer ${token}` }, signal: stop.signal });
    if (status === 401 || status === 403) return "refused";
    return status === 200 && body ? await greeting(body) : "unknown";
  } catch {
    return "unknown"; // not reachable either: the next attempt will tell
  } finally {
    clearTimeout(timer);
    stop.abort(); // the rest is for the next connection
  }
}

/** The streams of the first `connected` event. */
async function greeting(body: ReadableStream<Uint8Array>): Promise<Diagnosis> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; text.length < MAX_CHARACTERS; ) {
    const { done, value } = await reader.read();
    if (done) return "unknown";
    text += decoder.decode(value, { stream: true });
    for (const line of text.split("\n").slice(0, -1)) {
      const frame = line.startsWith("data:") ? readFrame(line.slice("data:".length)) : "unknown";
      if (typeof frame === "object" && frame.type === "connected") return frame.streams;
    }
  }
  return "unknown";
}
