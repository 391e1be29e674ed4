// Why: what a node says of itself on its ops port, as numbers. It must never read more than one family at a time.
import type { FleetNode } from "./node.ts";

/** The sum of all series of a metric over these nodes. */
export async function sumOf(nodes: readonly FleetNode[], metric: string): Promise<number> {
  const texts = await Promise.all(nodes.map(async ({ opsUrl }) => (await fetch(`${opsUrl}/metrics`)).text()));
  const series = texts.flatMap((text) => text.split("\n").filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `)));
  if (series.length === 0) throw new Error(`no node exports ${metric}`);
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Commands and scripts these nodes have sent to Redis so far. */
export const redisCalls = (nodes: readonly FleetNode[]): Promise<number> => sumOf(nodes, "nexus_redis_calls_total");
