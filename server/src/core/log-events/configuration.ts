// Why: how configuration reaches a server and what became of it, as rows of the log catalogue.
import { type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";

const BUG = "A bug: report it with this line and the version.";
const BOOT = "The pod serves without this part until the operator pushes; see ConfigSynced of the NexusCluster.";

export const CONFIG_EVENTS = {
  "boot.loaded": logRow(
    "info",
    ["buckets", "failed", "tenants", "templates", "rejected"],
    "The copy of the configuration that was mounted at the start is live.",
    "failed above 0: see boot.bucket_unreadable or boot.bucket_skipped.",
  ),
  "boot.bucket_unreadable": logRow("error", ["bucket", "reason"], "A part of the boot copy cannot be read.", BOOT),
  "boot.bucket_skipped": logRow("error", ["bucket", "reason"], "A part of the boot copy contradicts itself.", BOOT),
  "config.applied": logRow("info", ["digest", "buckets", "rejected"], "A push of the operator is live."),
  "config.entry_rejected": logRow(
    "error",
    ["entry", "reason"],
    "An entry cannot be used; what was live before stays.",
    "The object's Synced condition says the same; correct the object.",
  ),
  "config.listener_failed": logRow("error", ["error"], "A part of the server did not take the new configuration.", BUG),
  "config.push_refused": logRow(
    "warn",
    ["reason", "term", "sequence"],
    "A push of an older leader was refused.",
    "Once at a change of leader is normal; again and again: two operators lead, see docs/operations.md.",
  ),
  "tenant.purged": logRow("info", ["tenant", "uid", "durationMs"], "Everything kept of a deleted tenant is gone."),
  "tenant.purge_failed": logRow(
    "warn",
    ["tenant", "uid", "error"],
    "Deleting a tenant's data failed; it goes on later.",
    "Look at the store.",
  ),
  "purge.lease_kept": logRow("debug", ["error"], "The lock of a purge was not given back; it ends by itself."),
  "log.level_changed": logRow(
    "info",
    ["from", "to", "fromMinutes"],
    "The log level was changed through the admin port, or went back by itself.",
  ),
  "jwks.recovered": logRow("info", ["host", "awaySeconds"], "Keys of an issuer were fetched again."),
  "jwks.failed": logRow(
    "warn",
    ["host", "outcome", "reason", "times", "serves"],
    "Keys of an issuer could not be fetched.",
    "Check the jwksURL of the Tenant and that the pods reach it; serves says whether people can still connect.",
  ),
} as const satisfies LogCatalogue;
