// Why: every line the operator can write is a row here: a new event without meaning and advice does not compile, and
// docs/reference/logs.md is written from this. A line names objects, never what is in a Secret.
import { type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";

const API = "Look at the API server; the operator tries again by itself.";

export const OPERATOR_EVENTS = {
  "operator.started": logRow("info", ["version", "url", "identity"], "The operator watches; it writes once it leads."),
  "operator.failed": logRow(
    "error",
    ["error"],
    "The operator cannot start.",
    "The error names what is missing: the API server, a right, a port.",
  ),
  "operator.stopping": logRow("info", ["signal"], "The operator was asked to stop; it gives the lead away."),
  "operator.stop_failed": logRow("error", ["error"], "Stopping failed; the Lease runs out by itself."),
  "log.level_changed": logRow("info", ["from", "to", "fromMinutes"], "The log level was changed, or went back by itself."),
  "tracing.export_failed": logRow(
    "warn",
    ["reason"],
    "Spans were given up: the collector did not take them. Passes are not touched. At most once a minute.",
    "Look at the collector and at --tracing-endpoint; nexus_operator_trace_spans_total counts what is lost.",
  ),
  "standby.warm": logRow("info", ["durationMs"], "Configurations are compiled and compared in memory: this replica can lead at once."),
  "lease.acquired": logRow("info", ["identity", "term"], "This replica leads now."),
  "lease.lost": logRow(
    "error",
    ["identity"],
    "The lead was lost; the process ends and starts again as a standby.",
    "Seldom is normal; often: the API server is slow, or the node starves the operator.",
  ),
  "lease.failed": logRow("warn", ["error"], "The Lease could not be read or renewed.", API),
  "watch.failed": logRow(
    "warn",
    ["kind", "reason", "error", "retryInMs"],
    "A list or watch ended with an error.",
    "Forbidden: a right is missing, see nexus doctor; else look at the API server.",
  ),
  "api.answered": logRow(
    "debug",
    ["method", "path", "status", "durationMs"],
    "The API server answered a request; of a watch, that it begins.",
  ),
  "discovery.failed": logRow("warn", ["error"], "Which kinds there are could not be asked; what was known stays.", API),
  "kind.served": logRow("info", ["kind", "apiVersion"], "An optional kind is there; children of it are made."),
  "kind.absent": logRow("info", ["kind", "apiVersion"], "An optional kind is not there any more; children of it are left alone."),
  "crd.outdated": logRow(
    "warn",
    ["kind", "missing", "count"],
    "A CRD is older than this operator: the API server drops fields.",
    "Apply the CRDs of this release.",
  ),
  "reconcile.ended": logRow("debug", ["object", "outcome", "durationMs"], "A pass over an object ended: done, again (later) or failed."),
  "reconcile.failed": logRow(
    "warn",
    ["object", "error", "retryInMs"],
    "A pass over an object failed; it is tried again.",
    "The object's conditions say the same; kubectl nexus explain says what to do.",
  ),
  "cluster.held_back": logRow(
    "warn",
    ["cluster", "forMs"],
    "A NexusCluster failed too often and waits, so that others get their turn.",
    "See reconcile.failed of the same cluster.",
  ),
  "boot.failed": logRow("warn", ["error"], "A boot copy was not written; it is tried again.", "Forbidden or a quota: the error says it."),
  "event.failed": logRow("warn", ["error"], "A Kubernetes event was not written; it is lost."),
  "push.taken": logRow(
    "debug",
    ["cluster", "pod", "buckets", "durationMs"],
    "A pod took configuration; 0 parts: it was asked to confirm what it has.",
  ),
  "push.mismatch": logRow(
    "info",
    ["cluster", "pod", "buckets"],
    "A pod had other configuration than thought and is given these parts whole.",
  ),
  "push.repaired": logRow("info", ["cluster", "pod", "buckets"], "The regular comparison found differences in a pod and repaired them."),
  "push.failed": logRow(
    "warn",
    ["cluster", "pod", "error", "retryInMs"],
    "A pod did not take the configuration; it is tried again.",
    "Is the pod alive, and does a NetworkPolicy block port 9091 from the operator?",
  ),
  "push.rejected": logRow(
    "info",
    ["cluster", "pod", "entries"],
    "A pod cannot use some entries; what it had before stays.",
    "The Synced condition of these objects says why.",
  ),
  "push.stale": logRow("info", ["cluster", "pod", "raised"], "A pod follows a newer leader.", "Once at a change of leader is normal."),
  "push.reset": logRow("info", ["cluster", "pod"], "Terms went back (etcd was restored): the pod was told to accept a lower one."),
} as const satisfies LogCatalogue;

export type OperatorLogEvents = typeof OPERATOR_EVENTS;
