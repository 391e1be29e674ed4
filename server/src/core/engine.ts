// Why: what one engine offers core, as a whole: streams and who listens to them, and the records beside them.
// It must never name a product.
import type { Fleet } from "./fleet-ports.ts";
import type { Bus, Directory, RateLimits, StreamStore } from "./ports.ts";
import type { TenantPurge } from "./purge-ports.ts";
import type { Receipts, Stats, TemplateStore, Tickets, WriteRecords } from "./record-ports.ts";

/** One engine: everything core keeps outside a session. Whoever made it closes it. */
export type Engine = TenantPurge & {
  readonly store: StreamStore;
  readonly bus: Bus;
  readonly directory: Directory;
  readonly rates: RateLimits;
  readonly templates: TemplateStore;
  readonly tickets: Tickets;
  readonly receipts: Receipts;
  readonly stats: Stats;
  readonly writes: WriteRecords;
  readonly fleet: Fleet;
  close(): Promise<void>;
};
