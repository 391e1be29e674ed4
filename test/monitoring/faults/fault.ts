// Why: what a fault is: where it happens, how it begins and ends, which alert it must raise, and which others it raises rightly. Who
// adds one writes a row of `faults.ts`; nothing else has to know of it.
import type { HostPod } from "../../support/monitoring/host-pod.ts";
import type { RedisServer } from "../../support/redis/server.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";

/** The fleet a fault needs; its namespace has nothing else in it. */
export type FleetPlan = {
  /** Of the NexusCluster, over what every one of them has. */
  readonly spec?: object;
  readonly pods?: number;
  /** `slow`: reached through a network whose speed can be changed. */
  readonly broker?: "direct" | "slow";
  /** The operator reaches the admin port through a network that can be broken. */
  readonly relayAdmin?: boolean;
  /** The public port has a certificate. Nobody listens or publishes there meanwhile. */
  readonly tls?: boolean;
};

/** Where a fault happens. What was not asked for in the plan throws when it is used. */
export type Place = {
  readonly namespace: string;
  readonly pods: readonly HostPod[];
  readonly redis: RedisServer;
  readonly network: TcpProxy;
  /** Server-side apply of any object. */
  apply(...objects: readonly object[]): Promise<void>;
  /** Writes the Secret with the public port's certificate, good for so many days. */
  certificate(days: number): Promise<void>;
  tokenOf(user: string): Promise<string>;
  /** Publishes one notification with a tenant's key; the status of the answer. */
  publish(tenant: string): Promise<number>;
};

/** The operator that is to lose its lead: another one than that of the fleets. */
export type OtherOperator = { readonly namespace: string; takeLeasesAway(): Promise<void>; giveLeasesBack(): Promise<void> };

export type Fault = {
  readonly name: string;
  /** Of the NexusCluster `live`; all alerts with it belong to this fault. */
  readonly namespace: string;
  readonly alert: string;
  /** What else fires, and why that is right. Anything else that fires is a failure. */
  readonly companions: Readonly<Record<string, string>>;
  /** How soon after its end the alert is over, where that is soon. */
  readonly resolvesWithinSeconds?: number;
} & (
  | {
      readonly on: "fleet";
      readonly fleet: FleetPlan;
      /** Answers how it ends. */
      begin(place: Place): Promise<() => Promise<void>>;
    }
  | { readonly on: "operator"; begin(operator: OtherOperator): Promise<() => Promise<void>> }
);

/** Does something again and again, at most `most` at a time; `stop` waits for those under way. What fails is part of the fault. */
export function again(everyMs: number, act: () => Promise<unknown>, most = 20): { stop(): Promise<void>; readonly failed: number } {
  const open = new Set<Promise<void>>();
  let failed = 0;
  const timer = setInterval(() => {
    if (open.size >= most) return;
    const one: Promise<void> = act().then(
      () => void open.delete(one),
      () => {
        failed++;
        open.delete(one);
      },
    );
    open.add(one);
  }, everyMs);
  return {
    get failed() {
      return failed;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}
