// Why: one line of a watch, decoded and judged in one place. Pure. An unknown type is an error, not something to skip:
// skipping would lose an edit.

import type { Kind } from "../loop/kinds.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { KubeObject } from "../plan/object.ts";
import { statusError } from "./answer.ts";

export type WatchLine =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string }
  | { readonly type: "ERROR"; readonly error: KubeError };

/** Decodes one line. Anything that is not a watch event becomes `ERROR` with reason `Malformed`. */
export function decodeWatchLine(kind: Kind, line: string): WatchLine {
  const malformed = (why: string): WatchLine => ({
    type: "ERROR",
    error: new KubeError({ status: 0, reason: "Malformed", message: `watch of ${kind.resource}: ${why}` }),
  });
  let event: { type?: unknown; object?: unknown };
  try {
    event = JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return malformed("a line is not JSON");
  }
  const object = event?.object as KubeObject | undefined; // checked per type below
  switch (event?.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (typeof object?.metadata?.name !== "string" || typeof object.metadata.resourceVersion !== "string") break;
      return { type: event.type, object };
    case "BOOKMARK":
      if (typeof object?.metadata?.resourceVersion !== "string") break;
      return { type: "BOOKMARK", resourceVersion: object.metadata.resourceVersion };
    case "ERROR":
      return { type: "ERROR", error: statusError({ ...object }, { status: 0, what: `watch of ${kind.resource}` }) };
  }
  return malformed("an event of unknown shape");
}
