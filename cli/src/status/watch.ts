// Why: a person who waits for a fleet should not have to ask again and again. Three watches keep an overview, and whatever changes in
// it is shown a moment later, together. It must never write, and never go on silently when it cannot see any more.
import { type Reflector, startReflector, stripManagedFields } from "@nexus/operator/kube/reflector.ts";
import { sleep, systemClock } from "@nexus/operator/loop/clock.ts";
import type { Kind } from "@nexus/operator/loop/kinds.ts";
import type { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { type Connection, failureText } from "../kube/connect.ts";
import { asResource, servedKind } from "../kube/objects.ts";
import { type Overview, ofCluster, type StatusScope } from "./overview.ts";

export type View = {
  /** The overview changed, or is shown for the first time, or time has passed. */
  show(overview: Overview): void;
  /** What is shown may be old, and why; undefined: it is not any more. */
  trouble(message: string | undefined): void;
};

export type WatchOptions = {
  readonly view: View;
  /** Aborted: it is enough. */
  readonly signal: AbortSignal;
  /** Changes closer together than this are shown together; default 250 ms. */
  readonly gatherMs?: number;
  /** Ages grow without a change; default 30 s. */
  readonly againMs?: number;
};

/**
 * Shows until `signal` is aborted. Lost connections are told and mended. Rejects with `KubeError` when the API server refuses to let
 * us watch: no patience helps against that.
 */
export async function watchStatus(connection: Connection, scope: StatusScope, options: WatchOptions): Promise<void> {
  const { view, signal, gatherMs = 250, againMs = 30_000 } = options;
  const refused = Promise.withResolvers<never>();
  refused.promise.catch(() => undefined); // it is awaited below, perhaps after it came
  const troubles = new Map<Kind, string>();
  const opened = new Set<Kind>();
  let wake = Promise.withResolvers<void>();
  const start = (kind: Kind, namespace: string | undefined): Reflector<KubeObject> => {
    const isOpen = () => {
      opened.add(kind);
      if (troubles.delete(kind)) view.trouble(troubles.values().next().value);
    };
    const { transport } = connection;
    return startReflector<KubeObject>({
      ...{ kind, transform: kept, onEvent: () => wake.resolve() },
      transport: {
        request: (call) => transport.request(call),
        stream: (call, onLine, onOpen) =>
          transport.stream(call, onLine, () => {
            isOpen();
            onOpen?.();
          }),
      },
      ...(namespace === undefined ? {} : { scope: { namespace } }),
      onError(error) {
        if (isRefusal(error) && !opened.has(kind)) return refused.reject(error);
        if (error.status === 410) return; // a new list follows at once
        troubles.set(kind, failureText(error, connection.server));
        view.trouble(troubles.get(kind));
      },
    });
  };
  const { namespace } = connection;
  const everywhere = scope.isEverywhere || scope.name !== undefined ? undefined : namespace;
  const clusters = start(servedKind("NexusCluster"), scope.name === undefined ? everywhere : namespace);
  const tenants = start(servedKind("Tenant"), everywhere);
  const templates = start(servedKind("Template"), everywhere);
  const reflectors = [clusters, tenants, templates];
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const over = Promise.race([stopped, refused.promise]);
  try {
    await Promise.race([Promise.all(reflectors.map(({ synced }) => synced)), over]);
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const all: Overview = {
        clusters: clusters.store.list().map((one) => asResource<NexusCluster>(one)),
        tenants: tenants.store.list().map((one) => asResource<Tenant>(one)),
        templates: templates.store.list().map((one) => asResource<Template>(one)),
      };
      view.show(scope.name === undefined ? all : ofCluster(all, `${namespace}/${scope.name}`));
      await pause(againMs, signal, [wake.promise, over]);
      await pause(gatherMs, signal, [over]);
    }
  } finally {
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  }
}

/** Until the time is over or one of `sooner`; leaves no timer behind. */
async function pause(ms: number, signal: AbortSignal, sooner: readonly Promise<unknown>[]): Promise<void> {
  const timer = new AbortController();
  try {
    await Promise.race([...sooner, sleep(systemClock, ms, AbortSignal.any([signal, timer.signal]))]);
  } finally {
    timer.abort();
  }
}

/** Credentials, rights, a kind that nobody serves. An API server that has just been started may say so for a moment of what it allowed before. */
const isRefusal = ({ status }: KubeError): boolean => status === 401 || status === 403 || status === 404;

/** Of 100,000 templates, what is shown: their content is most of them. */
function kept(object: KubeObject): KubeObject {
  const { spec, ...rest } = stripManagedFields(object) as KubeObject & { readonly spec?: Readonly<Record<string, unknown>> };
  if (object.kind !== "Template" || spec === undefined) return { ...rest, ...(spec === undefined ? {} : { spec }) } as KubeObject;
  return { ...rest, spec: { tenantRef: spec.tenantRef } } as KubeObject;
}
