// Why: tracing of a server process, as the cluster or this process's own settings say, live. It must never be on without an
// endpoint, nor tell a log more than why a collector did not take what it was sent.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { createTracing, type Tracing, type TracingSettings } from "@nexus/tracing/tracing.ts";
import type { LiveConfig } from "../core/live-config.ts";
import type { Log } from "../core/ports.ts";
import type { ServerMetrics } from "./metrics.ts";

export type ServerTracingOptions = {
  readonly config: Pick<ServerConfig, "tracing" | "cluster">;
  /** Name of this node. */
  readonly node: string;
  readonly live: Pick<LiveConfig, "cluster" | "onChange">;
  readonly log: Pick<Log, "warn" | "info">;
  readonly metrics: Pick<ServerMetrics, "traceSpans">;
};

export type ServerTracing = Pick<Tracing, "tracer" | "stop">;

/** Follows the configuration until `stop`, which sends what waits. */
export function openTracing({ config, node, live, log, metrics }: ServerTracingOptions): ServerTracing {
  const [namespace = "", cluster = ""] = config.cluster.split("/");
  const tracing = createTracing({
    resource: {
      "service.name": "nexus-server",
      "service.namespace": config.cluster,
      "service.instance.id": node,
      "service.version": version,
      "k8s.namespace.name": namespace,
      "nexus.cluster": cluster,
    },
    version,
    headers: config.tracing.headers,
    headersFile: config.tracing.headersFile,
    counted: (outcome, count) => metrics.traceSpans(outcome, count),
    failed: (reason) => log.warn("tracing.export_failed", { reason }),
  });
  let settings: TracingSettings | undefined;
  const follow = (): void => {
    const next = settingsOf(config.tracing, live.cluster().tracing);
    if (Bun.deepEquals(next, settings)) return;
    settings = next;
    tracing.configure(next);
    if (next) log.info("tracing.on", { samplePercent: next.samplePercent });
    else log.info("tracing.off", {});
  };
  follow();
  const unfollow = live.onChange(({ cluster: isChanged }) => isChanged && follow());
  return {
    tracer: tracing.tracer,
    async stop() {
      unfollow();
      await tracing.stop();
    },
  };
}

type Told = ReturnType<LiveConfig["cluster"]>["tracing"];

/** What this process is told itself wins. */
function settingsOf(own: ServerConfig["tracing"], told: Told): TracingSettings | undefined {
  const { incomingPerSecond } = own;
  if (own.endpoint !== "") return { endpoint: own.endpoint, samplePercent: own.samplePercent, incomingPerSecond };
  return told && { endpoint: told.endpoint, samplePercent: told.sample_percent, incomingPerSecond };
}
