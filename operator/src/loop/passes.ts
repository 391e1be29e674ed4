// Why: one pass for each kind of key: look at the whole state, do what is missing, write one status. Rejections are the
// queue's to repeat; a pass that failed still says so in the status.
import type { KubeObject } from "../plan/object.ts";
import { AttachedPass, type AttachedPassDeps } from "./attached-pass.ts";
import type { BootState } from "./boot.ts";
import { ClusterPass, type ClusterPassDeps } from "./cluster-pass.ts";
import { ConfigPass, type ConfigPassDeps } from "./config-pass.ts";
import { Renderings } from "./fleet/renderings.ts";
import type { Outcome } from "./workers.ts";

export interface Passes {
  config(clusterKey: string): Promise<Outcome>;
  cluster(clusterKey: string): Promise<Outcome>;
  tenant(key: string): Promise<Outcome>;
  template(key: string): Promise<Outcome>;
  /** Whether all that can be done about a cluster's configuration before the lead is done. */
  isWarm(clusterKey: string): boolean;
  /** Something happened to a boot Secret: written by us, edited, or gone. */
  bootSecret(secret: KubeObject, isGone: boolean): void;
  /** Undefined before a cluster's first `config` pass. */
  boot(clusterKey: string): BootState | undefined;
  stop(): void;
}

export type PassDeps = Omit<ClusterPassDeps, "boot" | "config" | "renderings"> & ConfigPassDeps & AttachedPassDeps;

export function createPasses(deps: PassDeps): Passes {
  const config = new ConfigPass(deps);
  const clusters = new ClusterPass({
    ...deps,
    renderings: new Renderings(),
    boot: (key) => config.boot(key),
    config: (key) => config.found(key),
  });
  const attached = new AttachedPass(deps);
  return {
    async config(key) {
      if (!deps.views.clusters.get(key)) clusters.forget(key);
      return await config.run(key);
    },
    cluster: (key) => clusters.run(key),
    tenant: (key) => attached.tenant(key),
    template: (key) => attached.template(key),
    isWarm: (key) => config.isWarm(key),
    bootSecret: (secret, isGone) => config.bootSecret(secret, isGone),
    boot: (key) => config.boot(key),
    stop: () => config.stop(),
  };
}
