// Why: what is shown of every cluster when somebody asks: read from the stores and the live bundles at that moment, so that it is
// never older than they are and ends with the cluster. It must never wait, write, or look at every Template.
import { X509Certificate } from "node:crypto";
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject, namespaceOf } from "../desired/acceptance.ts";
import { childNames } from "../desired/names.ts";
import { listenerTlsSecret } from "../desired/pods/listener-tls.ts";
import type { BootState } from "./boot.ts";
import { isPaused } from "./paused.ts";
import type { Pusher } from "./pusher.ts";
import type { SecretObject } from "./secret-source.ts";
import type { Views } from "./views.ts";

/** Conditions that are shown. Those that exist only while True are 0 when absent, the others -1. */
export const SHOWN_CONDITIONS = [
  "Ready",
  "Available",
  "ConfigSynced",
  "RedisReady",
  "AutoscalingActive",
  "MonitoringReady",
  "Reconciling",
  "Stalled",
  "Paused",
  "Drift",
] as const;
type ShownCondition = (typeof SHOWN_CONDITIONS)[number];
const ONLY_WHILE_TRUE: ReadonlySet<string> = new Set(["Reconciling", "Stalled", "Paused", "Drift"]);

/** Clusters that have series of their own, the first by name. */
export const MOST_CLUSTERS = 500;

export const SHOWN_CERTIFICATES = ["admin_ca", "admin", "listener"] as const;
type ShownCertificate = (typeof SHOWN_CERTIFICATES)[number];

export type ClusterSeries = {
  readonly namespace: string;
  readonly name: string;
  /** 1 True, 0 False, -1 Unknown. */
  readonly conditions: Readonly<Record<ShownCondition, 1 | 0 | -1>>;
  readonly pods: { readonly wanted: number; readonly ready: number; readonly synced: number };
  /** Undefined without autoscaling. */
  readonly bounds: { readonly min: number; readonly max: number } | undefined;
  readonly oldestPushSeconds: number;
  /** Unix seconds; 0: there, but it cannot be read. Those that are not there are left out. */
  readonly certificates: readonly { readonly which: ShownCertificate; readonly expiry: number }[];
  /** Undefined before anything is known of the boot copy. */
  readonly boot: { readonly behindSeconds: number; readonly left: number; readonly fullest: number } | undefined;
  /** Deleted tenants whose data are not known to be gone. */
  readonly purges: number;
  /** Wall clock, milliseconds: when a pass over it went well last; undefined before the first. */
  readonly reconciledMs: number | undefined;
  readonly isHeldBack: boolean;
  readonly isRolloutPaused: boolean;
  readonly isUpgradePending: boolean;
};

export type AllSeries = {
  readonly clusters: readonly ClusterSeries[];
  /** Clusters in all, also those that are not in `clusters`. */
  readonly count: number;
  readonly objects: readonly { readonly kind: "Tenant" | "Template"; readonly ready: number; readonly notReady: number }[];
};

export type SeriesDeps = {
  readonly views: Pick<Views, "clusters" | "tenants" | "templates" | "deployments">;
  readonly pusher: Pick<Pusher, "progress">;
  /** A Secret as it was seen last; nothing is read for this. */
  readonly secret: (namespace: string, name: string) => SecretObject | undefined;
  /** What other parts know of a cluster, by `namespace/name`. */
  readonly boot: (cluster: string) => Pick<BootState, "behindMs" | "left" | "fullest"> | undefined;
  readonly purges: (cluster: string) => number;
  readonly isHeldBack: (cluster: string) => boolean;
  readonly wallMs: () => number;
};

export class SeriesReader {
  readonly #deps: SeriesDeps;
  /** What was read from a certificate, by its text: reading one costs more than everything else here. */
  #expiries = new Map<string, number>();
  readonly #reconciled = new Map<string, number>();

  constructor(deps: SeriesDeps) {
    this.#deps = deps;
  }

  /** A pass over a cluster (or one that is gone) went well. */
  reconciled(key: string): void {
    const { views, wallMs } = this.#deps;
    if (views.clusters.get(key)) this.#reconciled.set(key, wallMs());
    else this.#reconciled.delete(key);
  }

  /** `most`: how many clusters are shown. */
  read(most: number = MOST_CLUSTERS): AllSeries {
    const { views } = this.#deps;
    const shown = [...views.clusters.keys()].sort().slice(0, most);
    const before = this.#expiries;
    this.#expiries = new Map();
    const clusters = shown.flatMap((key) => {
      const cluster = views.clusters.get(key);
      return cluster ? [this.#of(cluster, before)] : [];
    });
    const objects = (["Tenant", "Template"] as const).map((kind) => {
      const store = kind === "Tenant" ? views.tenants : views.templates;
      const ready = store.counted("ready");
      return { kind, ready, notReady: store.size - ready };
    });
    return { clusters, count: views.clusters.size, objects };
  }

  #of(cluster: NexusCluster, before: ReadonlyMap<string, number>): ClusterSeries {
    const { views, pusher, purges, isHeldBack } = this.#deps;
    const key = keyOfObject(cluster);
    const boot = this.#deps.boot(key);
    const { name } = cluster.metadata;
    const namespace = namespaceOf(cluster);
    const deployment = views.deployments.get(`${namespace}/${childNames(name).server}`);
    const { podsSynced, oldestSeconds } = pusher.progress(key);
    const { autoscaling } = cluster.spec;
    return {
      namespace,
      name,
      conditions: verdicts(cluster.status?.conditions),
      pods: {
        wanted: deployment?.spec.replicas ?? autoscaling?.minReplicas ?? cluster.spec.replicas,
        ready: deployment?.status?.readyReplicas ?? 0,
        synced: podsSynced,
      },
      bounds: autoscaling && { min: autoscaling.minReplicas, max: autoscaling.maxReplicas },
      oldestPushSeconds: isPaused(cluster) ? 0 : oldestSeconds, // nobody is told while it is paused: that was asked for
      certificates: this.#certificates(cluster, before),
      boot: boot && { behindSeconds: boot.behindMs / 1000, left: boot.left, fullest: boot.fullest },
      purges: purges(key),
      reconciledMs: this.#reconciled.get(key),
      isHeldBack: isHeldBack(key),
      isRolloutPaused: deployment?.spec.paused === true,
      isUpgradePending: cluster.status?.pendingRollout !== undefined,
    };
  }

  #certificates(cluster: NexusCluster, before: ReadonlyMap<string, number>): ClusterSeries["certificates"] {
    const { adminCa, adminTls } = childNames(cluster.metadata.name);
    const names = { admin_ca: adminCa, admin: adminTls, listener: listenerTlsSecret(cluster) };
    return SHOWN_CERTIFICATES.flatMap((which) => {
      const name = names[which];
      const encoded = name === undefined ? undefined : this.#deps.secret(namespaceOf(cluster), name)?.data?.["tls.crt"];
      if (encoded === undefined) return [];
      const expiry = before.get(encoded) ?? expiryOf(encoded);
      this.#expiries.set(encoded, expiry);
      return [{ which, expiry }];
    });
  }
}

function verdicts(conditions: readonly Condition[] | undefined): ClusterSeries["conditions"] {
  const of = (type: ShownCondition) => verdict(type, conditions);
  return {
    Ready: of("Ready"),
    Available: of("Available"),
    ConfigSynced: of("ConfigSynced"),
    RedisReady: of("RedisReady"),
    AutoscalingActive: of("AutoscalingActive"),
    MonitoringReady: of("MonitoringReady"),
    Reconciling: of("Reconciling"),
    Stalled: of("Stalled"),
    Paused: of("Paused"),
    Drift: of("Drift"),
  };
}

/** A verdict on an older generation is still the last one there is. */
function verdict(type: string, conditions: readonly Condition[] = []): 1 | 0 | -1 {
  const found = conditions.find((one) => one.type === type);
  if (!found) return ONLY_WHILE_TRUE.has(type) ? 0 : -1;
  return found.status === "True" ? 1 : found.status === "False" ? 0 : -1;
}

function expiryOf(encoded: string): number {
  try {
    return Math.floor(new X509Certificate(Buffer.from(encoded, "base64")).validToDate.getTime() / 1000);
  } catch {
    return 0; // no certificate: whoever needs it says so in a condition, and 0 lies in the past
  }
}
