// Why: from which numbers on a fleet is in trouble, taken from its custom resource, so that who raises a limit need not know of an
// alert. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { parseQuantity } from "@nexus/protocol/resources/quantity.ts";
import { PROPAGATION_SECONDS } from "../../pod-template.ts";

/** Sessions that come back, a second, for each core a pod may use: half of what one takes in (1 ms of CPU each, docs/benchmarks.md). */
const RECONNECTS_PER_CORE = 500;

/** Queues of a pod without a memory limit. */
const QUEUE_BYTES = 128 * 2 ** 20;
/** Of the memory limit. */
const QUEUE_SHARE = 0.2;

/** A drain ends by itself or is killed after the grace period (propagation + drain + 15 s); scrapes see that 40 s later at the latest. */
const AFTER_DRAIN_SECONDS = 15 + 40;

const DOWN_SECONDS = 60;

const PER_UNIT = 1e9;

/** `pods.resources.limits.<name>` as a number; undefined without one. The API server has checked that it is a quantity. */
function limitOf(cluster: NexusCluster, name: "cpu" | "memory"): number | undefined {
  const limits: unknown = cluster.spec.pods.resources?.limits;
  if (typeof limits !== "object" || limits === null) return undefined;
  const value: unknown = Object.entries(limits).find(([key]) => key === name)?.[1];
  const amount = typeof value === "string" || typeof value === "number" ? parseQuantity(value) : undefined;
  return amount === undefined ? undefined : Number(amount) / PER_UNIT;
}

/** In bytes. */
export const memoryLimit = (cluster: NexusCluster): number | undefined => limitOf(cluster, "memory");

/** Sessions one ready pod may be asked to open a second before it is a storm. One event loop uses one core. */
export const reconnectBudget = (cluster: NexusCluster): number =>
  Math.max(1, Math.floor(RECONNECTS_PER_CORE * Math.min(1, limitOf(cluster, "cpu") ?? 1)));

/** Bytes that may wait for all sessions of one pod. */
export function queueBytes(cluster: NexusCluster): number {
  const limit = memoryLimit(cluster);
  return limit === undefined ? QUEUE_BYTES : Math.floor(limit * QUEUE_SHARE);
}

export const drainSeconds = (cluster: NexusCluster): number =>
  PROPAGATION_SECONDS + cluster.spec.delivery.drainSeconds + AFTER_DRAIN_SECONDS;

/**
 * How long nobody may be ready. A fleet without Redis has one pod, and its next one starts when that has drained: a rollout is no
 * outage to wake somebody for.
 */
export const downSeconds = ({ spec }: NexusCluster): number =>
  DOWN_SECONDS + (spec.redis.mode === "None" ? PROPAGATION_SECONDS + spec.delivery.drainSeconds : 0);

/** Nobody promised that such a fleet answers. */
export const isScaledToZero = ({ spec }: NexusCluster): boolean => spec.autoscaling === undefined && spec.replicas === 0;

/** Whether servers listen to triggers by pub/sub; they do unless `pods.env` says otherwise. */
export const hearsTriggers = ({ spec }: NexusCluster): boolean =>
  spec.redis.mode !== "None" && !(spec.pods.env ?? []).some(({ name, value }) => name === "NEXUS_TRIGGERS_PUBSUB" && value !== "true");

/** Bytes as people write them: `128 MiB`. */
export const bytesText = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
