// Why: what every process does with the configuration it is given, also the one that serves nobody and runs the others: so
// nothing here may load the engines or the edges.
import { hostname } from "node:os";
import type { Bucket } from "@nexus/protocol/bundle.ts";
import type { LogLevel, ServerConfig } from "@nexus/protocol/config.ts";
import { readBootCopy } from "./adapters/boot.ts";
import { systemClock as clock } from "./adapters/clock.ts";
import type { LevelledLog } from "./adapters/log.ts";
import type { LiveConfig } from "./core/live-config.ts";
import type { Readiness } from "./core/readiness.ts";

/** What this server is called in answers and logs. */
export const nodeName = ({ node }: ServerConfig): string => node || hostname();

type Process = { readonly live: LiveConfig; readonly readiness: Readiness; readonly log: LevelledLog };

/** What metrics say of any process. `certificateExpiry`: of the admin port, in Unix seconds. */
export function processFacts({ live, readiness, log }: Process, certificateExpiry: () => number) {
  return {
    certificateExpiry,
    ready: readiness.isReady,
    draining: readiness.isDraining,
    logLines: log.lines,
    bundle: () => bundleFacts(live),
  };
}

function bundleFacts(live: LiveConfig) {
  const confirmedAt = live.confirmedAt();
  return { ...live.counts(), ageSeconds: confirmedAt === undefined ? -1 : (clock.monotonic() - confirmedAt) / 1000 };
}

/** What this process may hold. */
export function limitsOf(live: LiveConfig) {
  const { connectionsPerPod, sendQueueBytes } = live.cluster().limits;
  return { sessions: connectionsPerPod, sendQueueBytes };
}

export async function loadBootCopy(live: LiveConfig, directory: string, log: LevelledLog, took?: (bucket: Bucket) => void): Promise<void> {
  let buckets = 0;
  let skipped = 0;
  const failed = await readBootCopy(directory, {
    log,
    take(bucket) {
      const report = live.load([bucket]);
      buckets += report.buckets;
      skipped += report.skipped.length;
      if (report.skipped.length === 0) took?.(bucket);
    },
  });
  const { tenants, templates, rejected } = live.counts();
  log.info("boot.loaded", { buckets, failed: failed + skipped, tenants, templates, rejected });
}

/** What the cluster says wins while it says something. */
export const usualLogLevel = (live: LiveConfig, config: ServerConfig): LogLevel => live.cluster().log_level ?? config.log.level;

export function followLogLevel(live: LiveConfig, log: LevelledLog, config: ServerConfig): void {
  live.onChange(({ cluster }) => {
    if (cluster) log.setLevel(usualLogLevel(live, config));
  });
}
