// Why: one place says whether traffic may come, and why not, for the probe, the admin port and the metrics.
// It must never turn a node ready before its boot copy was looked at.
import type { Clock } from "./ports.ts";

export type Readiness = {
  /** Nothing when ready; otherwise what is awaited. */
  reasons(): readonly string[];
  isReady(): boolean;
  isDraining(): boolean;
  /** The boot copy was loaded, or there is none. */
  booted(): void;
  /** From now on traffic goes elsewhere; there is no way back. */
  drain(): void;
};

export type ReadinessDeps = {
  readonly clock: Pick<Clock, "monotonic">;
  /** Whether a leader confirmed what this node was told. */
  readonly confirmed: () => boolean;
  /** How long a confirmation is awaited after the boot copy was loaded. 0 where nobody can confirm. */
  readonly confirmSeconds: number;
};

export function createReadiness({ clock, confirmed, confirmSeconds }: ReadinessDeps): Readiness {
  let bootedAt: number | undefined;
  let isDraining = false;
  const isConfirmed = () => bootedAt !== undefined && (confirmed() || clock.monotonic() - bootedAt >= confirmSeconds * 1000);
  const reasons = (): readonly string[] => {
    const found: string[] = [];
    if (bootedAt === undefined) found.push("configuration_loading");
    else if (!isConfirmed()) found.push("configuration_unconfirmed");
    if (isDraining) found.push("draining");
    return found;
  };
  return {
    reasons,
    isReady: () => !isDraining && isConfirmed(),
    isDraining: () => isDraining,
    booted: () => {
      bootedAt ??= clock.monotonic();
    },
    drain: () => {
      isDraining = true;
    },
  };
}
