// Why: logs and metrics are text, not objects; they are read line by line and never beyond a bound. It must never hold more.
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { Connection } from "./connect.ts";

export type TextBounds = { readonly maxBytes: number; readonly timeoutMs: number };
export type BoundedText = { readonly text: string; readonly isCut: boolean };

/**
 * The text at a path of the API server, at most `maxBytes` of whole lines. A last line without its end is left out; time that runs
 * out cuts too. Rejects with `KubeError` when nothing came.
 */
export async function readText({ transport }: Connection, path: string, { maxBytes, timeoutMs }: TextBounds): Promise<BoundedText> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutMs);
  const lines: string[] = [];
  let bytes = 0;
  let isCut = false;
  const onLine = (line: string) => {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > maxBytes) {
      isCut = true;
      stop.abort();
    } else lines.push(line);
  };
  try {
    await transport.stream({ method: "GET", path, accept: "text/plain, */*", timeoutMs, signal: stop.signal }, onLine);
  } catch (error) {
    const isPartial = error instanceof KubeError && error.status === 0 && (lines.length > 0 || isCut);
    if (!isPartial) throw error;
    isCut = true;
  } finally {
    clearTimeout(timer);
  }
  return { text: lines.length === 0 ? "" : `${lines.join("\n")}\n`, isCut };
}
