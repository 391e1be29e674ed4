// Why: what this engine keeps beside streams, made and ended together. It must never hold up the end of a process for
// long: what Redis does not take then is lost, and said so.
import type { Engine } from "../../core/engine.ts";
import type { RedisParts } from "./parts.ts";
import { createRedisRates } from "./rates.ts";
import { createRedisReceipts } from "./receipts.ts";
import { createRedisStats } from "./stats.ts";
import { createRedisTemplates } from "./template-store.ts";
import { createRedisTickets } from "./tickets.ts";
import { createRedisWriteRecords } from "./write-records.ts";

export type RedisRecords = Pick<Engine, "templates" | "tickets" | "receipts" | "stats" | "writes" | "rates"> & {
  /** Since the start: exchanges of rates that failed, and delivery statuses and ACKs that were let go. */
  losses(): { readonly rateExchangesFailed: number; readonly receiptsDropped: number };
  /** Tells Redis what is still waiting here. Rejects with `Failure` `broker_unavailable`. */
  flush(): Promise<void>;
  /** Of a tenant, what lies in keys that all tenants share. Rejects with `Failure` `broker_unavailable`. */
  purge(tenant: string): Promise<void>;
  /** Tells Redis what is still waiting here; before the link is closed. */
  close(): Promise<void>;
};

export function createRedisRecords(parts: RedisParts): RedisRecords {
  const receipts = createRedisReceipts(parts);
  const stats = createRedisStats(parts);
  const rates = createRedisRates(parts);
  return {
    ...{ receipts, stats, rates, templates: createRedisTemplates(parts) },
    ...{ tickets: createRedisTickets(parts), writes: createRedisWriteRecords(parts) },
    losses: () => ({ rateExchangesFailed: rates.failed(), receiptsDropped: receipts.dropped() }),
    async flush() {
      await Promise.all([receipts.flush(), stats.flush()]);
    },
    purge: (tenant) => receipts.purge(tenant),
    async close() {
      rates.close();
      await Promise.all([receipts.close(), stats.close()]);
    },
  };
}
