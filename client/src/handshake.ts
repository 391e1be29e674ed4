// Why: a browser says nothing about a refused handshake, so a wrong token looks like a dead network. One request to the
// sibling endpoint that takes the same tokens tells them apart. It must never decide on a guess: no answer means unknown.
import type { Settings } from "./options.ts";

/** `refused`: the server looked at this token and will not have it. */
export type Diagnosis = "refused" | "unknown";

const PROBE_TIMEOUT_MS = 5_000;

export async function diagnose({ fetch, socketUrl }: Pick<Settings, "fetch" | "socketUrl">, token: string): Promise<Diagnosis> {
  if (fetch === false) return "unknown";
  const url = new URL(socketUrl);
  url.protocol = url.protocol === "wss:" ? "https:" : "http:";
  url.pathname = url.pathname.replace(/ws$/, "sse");
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PROBE_TIMEOUT_MS);
  try {
    const { status } = await fetch(url.href, { headers: { authorization: `Bearer ${token}` }, signal: stop.signal });
    return status === 401 || status === 403 ? "refused" : "unknown";
  } catch {
    return "unknown"; // not reachable either: the next attempt will tell
  } finally {
    clearTimeout(timer);
    stop.abort(); // the status was all
  }
}
