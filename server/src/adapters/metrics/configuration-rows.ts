// Why: what a server was told, how old that is, and the credentials that run out: configuration, certificates, key sets.
// It must never carry the name of an object or an issuer.
import { JWKS_OUTCOMES } from "../jwks-fetch.ts";
import type { ServerMetricRow } from "./row.ts";

export const CONFIGURATION_ROWS = {
  nexus_bundle_entries: {
    type: "gauge",
    help: "Configuration objects that are live.",
    labels: { kind: ["tenant", "template"] },
    across: "parent",
  },
  nexus_bundle_rejected_entries: { type: "gauge", help: "Configuration objects this node was told and cannot use.", across: "parent" },
  nexus_bundle_age_seconds: {
    type: "gauge",
    help: "Since a leading operator last confirmed this node's configuration; -1 before the first.",
    across: "parent",
  },
  nexus_bundle_pushes_total: {
    type: "counter",
    help: "Configuration pushes, by outcome.",
    labels: { outcome: ["applied", "mismatch", "stale", "refused"] },
  },
  nexus_admin_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "When the admin certificate expires, in Unix seconds; 0 without one.",
    across: "parent",
  },
  nexus_tls_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "When the public port's certificate expires, in Unix seconds; 0 without one.",
    across: "max",
  },
  nexus_tls_rereads_total: {
    type: "counter",
    help: "Changed files of the public port's certificate, by outcome: taken, or failed at each try while they cannot be used.",
    labels: { outcome: ["taken", "failed"] },
  },
  nexus_jwks_fetches_total: {
    type: "counter",
    help: "Fetches of issuers' key sets (jwksURL), by outcome.",
    labels: { outcome: JWKS_OUTCOMES },
  },
  nexus_jwks_outage_seconds: {
    type: "gauge",
    help: "Since the issuer that is away longest stopped answering with its key set; 0 when all that are asked for answer.",
    across: "max",
  },
} as const satisfies Record<string, ServerMetricRow>;
