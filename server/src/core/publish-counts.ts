// Why: what comes of a publish is counted the same way from every door: how long it took, and when it came to nothing,
// whose fault that was. What was published is counted where it is appended. It must never count an id nobody declared.
import type { FailureCode } from "@nexus/protocol/failures.ts";
import { codeOf, isOurFault } from "./fault.ts";
import type { StreamId } from "./ports.ts";
import type { PublisherDeps } from "./publish-content.ts";

type Counting = Pick<PublisherDeps, "engine" | "metrics" | "tenants">;
type Publish = { readonly tenant: string; readonly kind: StreamId["kind"] };

/** A publish that was refused with this code. */
export function countRefused({ engine, metrics, tenants }: Counting, { tenant, kind }: Publish, code: FailureCode): void {
  metrics.published(kind, isOurFault(code) ? "failed" : "refused", tenant);
  // Ids that nobody declared are the caller's to invent.
  if (tenants.tenant(tenant)) engine.stats.failed(tenant);
}

/** A publish that ended with what was thrown. */
export const countBroken = (deps: Counting, publish: Publish, thrown: unknown): void => countRefused(deps, publish, codeOf(thrown));
