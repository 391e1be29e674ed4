// Why: optional kinds (KEDA, prometheus-operator, Gateway API, cert-manager) are used where they are served, and are watched
// from the moment they are. Discovery only adds: a backend that does not answer, or an answer that misses a kind once, takes
// nothing away.
import { type Kind, OPTIONAL_KINDS } from "../loop/kinds.ts";
import type { Capabilities } from "../loop/ports.ts";
import { discover } from "./discovery.ts";
import type { Transport } from "./transport.ts";

export type CapabilityWatch = Capabilities & {
  /** After the first answer, or the first failure. */
  readonly looked: Promise<void>;
  stop(): void;
};

/** Looks once, at the start. `onServed` is told of each optional kind that is served. */
export function watchCapabilities(options: {
  readonly transport: Transport;
  readonly onServed: (kind: Kind) => void;
  readonly onError: (error: unknown) => void;
}): CapabilityWatch {
  const served = new Set<Kind>();
  const abort = new AbortController();
  const look = async () => {
    const seen = await discover(options.transport, abort.signal);
    for (const kind of Object.values(OPTIONAL_KINDS)) {
      if (!seen.kinds.some((one) => one.group === kind.group && one.version === kind.version && one.kind === kind.kind)) continue;
      served.add(kind);
      options.onServed(kind);
    }
  };
  return { has: (kind) => served.has(kind), looked: look().catch(options.onError), stop: () => abort.abort() };
}
