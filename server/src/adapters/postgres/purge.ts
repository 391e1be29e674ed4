// Why: a deleted tenant's inboxes leave the tables in batches, each a short transaction, so that nobody waits for them. Which
// node does it is decided elsewhere; two at once do no harm.
// It must never let an inbox come back under the epoch it had.
import type { Ids } from "../../core/ports.ts";
import type { Pool } from "./pool.ts";

/** Rows per statement. */
const STEP = 1_000;

/** False when `signal` stopped it. Rejects with `Failure` `broker_unavailable`. */
export async function purgeInboxes(
  { pool, ids }: { readonly pool: Pool; readonly ids: Pick<Ids, "epoch"> },
  tenant: string,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const [content] = await pool.run<{ readonly went: string }>("SELECT nexus.purge_content_1($1::text, $2::bigint) AS went", [
      tenant,
      STEP,
    ]);
    if (Number(content?.went) > 0) continue;
    const values = [tenant, ids.epoch()];
    const [streams] = await pool.run<{ readonly went: string }>("SELECT nexus.purge_streams_1($1::text, $2::text) AS went", values);
    if (Number(streams?.went) < 0) return true;
  }
  return false;
}
