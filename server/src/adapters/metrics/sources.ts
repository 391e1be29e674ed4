// Why: what a scrape reads of a node: its states, its sessions, its configuration. All of it is cheap enough for one call
// every few seconds. It must never keep what it read.
import type { LogLevel } from "@nexus/protocol/config.ts";
import type { MetricRegistry } from "./registry.ts";
import type { DeclaredTenants, TenantTallies } from "./tallies.ts";

export type MetricSources = {
  ready(): boolean;
  draining(): boolean;
  degraded(): boolean;
  users(): number;
  channels(): number;
  /** `slowSessions`: their connections take no more now. */
  load(): { readonly subscriptions: number; readonly queuedBytes: number; readonly slowSessions: number };
  /** What this process may hold, and what may wait for one session, in bytes. */
  limits(): { readonly sessions: number; readonly sendQueueBytes: number };
  bundle(): { readonly tenants: number; readonly templates: number; readonly rejected: number; readonly ageSeconds: number };
  /** Unix seconds; 0 without a certificate. */
  certificateExpiry(): number;
  /** Seconds since an issuer's key set could last be had; 0 when all can. */
  jwksOutage(): number;
  /** Deleted tenants whose data are not known to be gone. */
  purgesPending(): number;
  /** Lines written since the start. */
  logLines(): Readonly<Record<LogLevel, number>>;
  /** Absent where no session is served. */
  readonly tenants?: DeclaredTenants;
};

export function observeNode(registry: MetricRegistry, tallies: TenantTallies, sources: MetricSources): void {
  registry.read("nexus_ready", () => Number(sources.ready()));
  registry.read("nexus_draining", () => Number(sources.draining()));
  registry.read("nexus_degraded", () => Number(sources.degraded()));
  registry.read("nexus_users", sources.users);
  registry.read("nexus_channels", sources.channels);
  const load = registry.perScrape(() => sources.load());
  registry.read("nexus_subscriptions", () => load().subscriptions);
  registry.read("nexus_send_queue_bytes", () => load().queuedBytes);
  registry.read("nexus_slow_sessions", () => load().slowSessions);
  registry.read("nexus_sessions_limit", () => sources.limits().sessions);
  registry.read("nexus_send_queue_limit_bytes", () => sources.limits().sendQueueBytes);
  const bundle = registry.perScrape(() => sources.bundle());
  registry.readBy("nexus_bundle_entries", () => ({ tenant: bundle().tenants, template: bundle().templates }));
  registry.read("nexus_bundle_rejected_entries", () => bundle().rejected);
  registry.read("nexus_bundle_age_seconds", () => bundle().ageSeconds);
  registry.read("nexus_admin_certificate_expiry_timestamp_seconds", sources.certificateExpiry);
  registry.read("nexus_jwks_outage_seconds", sources.jwksOutage);
  registry.read("nexus_purges_pending", sources.purgesPending);
  registry.readBy("nexus_log_lines_total", sources.logLines);
  if (sources.tenants) observeTenants(registry, tallies, sources.tenants);
}

function observeTenants(registry: MetricRegistry, tallies: TenantTallies, declared: DeclaredTenants): void {
  tallies.observe(declared);
  const samples = registry.perScrape(() => tallies.samples());
  registry.readSeries("nexus_tenant_sessions", () => samples().nexus_tenant_sessions);
  registry.readSeries("nexus_tenant_sessions_limit", () => samples().nexus_tenant_sessions_limit);
  registry.readSeries("nexus_tenant_publishes_total", () => samples().nexus_tenant_publishes_total);
  registry.readSeries("nexus_tenant_deliveries_total", () => samples().nexus_tenant_deliveries_total);
  registry.readSeries("nexus_tenant_refusals_total", () => samples().nexus_tenant_refusals_total);
}
