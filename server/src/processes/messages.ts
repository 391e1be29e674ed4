// Why: what the processes of one pod say to each other, declared once for both ends. Messages of one direction arrive in
// the order they were sent. It must never carry a notification: those travel through the engine.
import type { NodeLoad, ShedRequest } from "@nexus/protocol/admin.ts";
import type { LogLevel } from "@nexus/protocol/config.ts";
import type { MetricsReport } from "../adapters/metrics-sum.ts";
import type { Push, PushOutcome } from "../core/live-config.ts";
import type { Tombstone } from "../core/purge-ports.ts";

/** How the parent tells a process which one it is; the same program runs as both. */
export const INDEX_VARIABLE = "NEXUS_PROCESS_INDEX";

/** From the parent. `bucket` and `start` come once, in answer to `up`; whatever has an `id` is answered with it. */
export type ToProcess =
  /** One bucket of the configuration, as `Archive` packed it. */
  | { readonly kind: "bucket"; readonly packed: Uint8Array }
  /** Everything was handed over: take `last`, then listen on `port`. */
  | { readonly kind: "start"; readonly port: number; readonly level: LogLevel; readonly last: Push }
  | { readonly kind: "push"; readonly id: number; readonly push: Push }
  | { readonly kind: "report"; readonly id: number }
  | { readonly kind: "log-level"; readonly level: LogLevel }
  /** Send so many of your own sessions away. */
  | ({ readonly kind: "shed" } & ShedRequest)
  /** Let the sessions go, then end. */
  | { readonly kind: "drain" }
  /** What the whole pod shows to scrapers, in answer to `metrics`. */
  | { readonly kind: "metrics"; readonly id: number; readonly text: string };

/** `load`: undefined before it listens. */
/** `purged`: see `AdminStatus`. */
export type ProcessReport = {
  readonly sessions: number;
  readonly load: NodeLoad | undefined;
  readonly purged: readonly Tombstone[];
  readonly metrics: MetricsReport;
};

export type FromProcess =
  /** Ready to be handed the configuration. */
  | { readonly kind: "up" }
  | { readonly kind: "listening" }
  | { readonly kind: "pushed"; readonly id: number; readonly outcome: PushOutcome["kind"]; readonly digest: string }
  | { readonly kind: "report"; readonly id: number; readonly report: ProcessReport }
  | { readonly kind: "metrics"; readonly id: number };
