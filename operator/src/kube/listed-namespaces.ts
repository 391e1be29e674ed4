// Why: an operator that may look at listed namespaces only has no right to list or watch namespaces, but may read each of them by
// name in its own Role. Their labels decide who may attach; of any other namespace nothing is known. It must never take a read
// that failed for a namespace without labels.
import { type Clock, sleep, systemClock } from "../loop/clock.ts";
import { KINDS } from "../loop/kinds.ts";
import { isNotFound, KubeError } from "../loop/kube-error.ts";
import type { WatchHandler } from "../loop/ports.ts";
import type { KubeObject } from "../plan/object.ts";
import { objectPath } from "./paths.ts";
import { type Reflector, stripManagedFields } from "./reflector.ts";
import { MemoryStore } from "./store.ts";
import type { Transport } from "./transport.ts";

export type ListedNamespacesOptions = {
  readonly transport: Transport;
  readonly names: readonly string[];
  readonly onEvent: WatchHandler<KubeObject>;
  readonly onError: (error: KubeError, retryInMs: number) => void;
  readonly clock?: Clock;
};

/** Labels change rarely, and each look is a request. */
const LOOK_MS = 60_000;
const RETRY_MS = 5_000;

/** Synced once each namespace was answered for: there, not there, or not ours to read (then its labels stay unknown). */
export function readListedNamespaces(options: ListedNamespacesOptions): Reflector<KubeObject> {
  const { transport, names, onEvent, onError, clock = systemClock } = options;
  const store = new MemoryStore<KubeObject>();
  const stopped = new AbortController();
  const { promise: synced, resolve } = Promise.withResolvers<boolean>();
  let heardMs = clock.wallMs();

  const look = async (name: string): Promise<void> => {
    const initial = !store.hasSynced();
    const before = store.entry(name);
    try {
      const { body } = await transport.request({
        method: "GET",
        path: objectPath({ kind: KINDS.Namespace, name }),
        signal: stopped.signal,
      });
      const object = stripManagedFields(body as KubeObject); // the API server answers what the path names
      const { uid = "", resourceVersion = "" } = object.metadata;
      if (before?.resourceVersion === resourceVersion) return;
      store.set(name, { uid, resourceVersion, value: object });
      if (before) onEvent({ type: "modified", key: name, object, previous: before.value, initial: false });
      else onEvent({ type: "added", key: name, object, initial });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      if (!before) return;
      store.delete(name);
      onEvent({ type: "deleted", key: name, object: before.value, initial: false });
    }
  };
  const lookAll = async (): Promise<boolean> => {
    let isWhole = true;
    for (const name of names) {
      try {
        await look(name);
      } catch (error) {
        const known = error instanceof KubeError ? error : new KubeError({ status: 0, reason: "Internal", message: String(error) }, error);
        if (known.status !== 403) isWhole = false;
        if (!stopped.signal.aborted) onError(known, known.status === 403 ? LOOK_MS : RETRY_MS);
      }
    }
    return isWhole;
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      const isWhole = await lookAll();
      if (isWhole) heardMs = clock.wallMs();
      if (isWhole && !store.hasSynced()) {
        store.markSynced();
        resolve(true);
      }
      await sleep(clock, isWhole ? LOOK_MS : RETRY_MS, stopped.signal);
    }
  })();
  return {
    store,
    synced,
    heardMs: () => heardMs,
    async stop() {
      stopped.abort();
      resolve(false);
      await running;
    },
  };
}
