// Why: typed verbs over the transport, and the one gate through which every write goes: a write starts only while the
// fence is open and its deadline lies inside it. It must never retry a write by itself.

import { type Clock, type Random, systemClock } from "../loop/clock.ts";
import type { Kind } from "../loop/kinds.ts";
import { isNotFound, KubeError } from "../loop/kube-error.ts";
import type { ApplyOptions, CallOptions, DeleteOptions, Discovery, KubeApi, ObjectRef, Page, Scale, Scope } from "../loop/ports.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";
import { discover } from "./discovery.ts";
import { type ListOptions, readPages } from "./pages.ts";
import { collectionPath, objectPath, withQuery } from "./paths.ts";
import type { Answer, Call, Transport } from "./transport.ts";

/** How long a write may take from now on, in milliseconds; 0 = it must not start. */
export type WriteFence = { writeBudgetMs(): number };

export type KubeApiOptions = {
  readonly transport: Transport;
  /** None = not fenced (the Lease itself, tests, the CLI). */
  readonly fence?: WriteFence;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Deadline of a write inside an open fence; default 9 s, of a read 30 s. */
  readonly writeTimeoutMs?: number;
  readonly readTimeoutMs?: number;
};

/** Metadata alone: every API server since 1.15 answers so. */
const HEADS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

export const createKubeApi = (options: KubeApiOptions): KubeApi => new TransportKubeApi(options);

class TransportKubeApi implements KubeApi {
  readonly #options: KubeApiOptions;

  constructor(options: KubeApiOptions) {
    this.#options = options;
  }

  async get<T extends KubeObject = Manifest>(ref: ObjectRef, options: CallOptions = {}): Promise<T | undefined> {
    return await orUndefined(async () => object<T>(await this.#read(objectPath(ref), options)));
  }

  async list<T extends KubeObject = Manifest>(kind: Kind, scope: Scope = {}, options: CallOptions = {}): Promise<Page<T>> {
    return await this.#list<T>(kind, { scope, signal: options.signal });
  }

  async heads(kind: Kind, scope: Scope = {}, options: CallOptions = {}): Promise<readonly KubeObject[]> {
    return (await this.#list<KubeObject>(kind, { scope, signal: options.signal, accept: HEADS })).items;
  }

  async #list<T extends KubeObject>(kind: Kind, how: Pick<ListOptions, "scope" | "signal" | "accept">): Promise<Page<T>> {
    const { transport, clock = systemClock, random = Math.random } = this.#options;
    const items: T[] = [];
    const resourceVersion = await readPages<T>(
      transport,
      kind,
      { ...how, clock, random },
      {
        page(page) {
          for (const item of page.items) items.push(item);
        },
        restarted: () => void items.splice(0),
      },
    );
    return { items, resourceVersion };
  }

  async create<T extends KubeObject>(kind: Kind, body: T, options: CallOptions & { manager?: string } = {}): Promise<T> {
    const path = withQuery(collectionPath(kind, body.metadata.namespace), { fieldManager: options.manager });
    return object<T>(await this.#write({ method: "POST", path, body }, options));
  }

  async update<T extends KubeObject>(kind: Kind, body: T, options: CallOptions & { manager?: string } = {}): Promise<T> {
    const path = withQuery(objectPath(refOf(kind, body)), { fieldManager: options.manager });
    return object<T>(await this.#write({ method: "PUT", path, body }, options));
  }

  async delete(ref: ObjectRef, options: CallOptions & DeleteOptions = {}): Promise<boolean> {
    const { uid, resourceVersion, propagation = "Background" } = options;
    const preconditions = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
    const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: propagation, preconditions };
    const answer = await orUndefined(() => this.#write({ method: "DELETE", path: objectPath(ref), body }, options));
    return answer !== undefined;
  }

  async apply<T extends KubeObject = Manifest>(
    kind: Kind,
    body: KubeObject,
    options: CallOptions & ApplyOptions,
  ): Promise<{ readonly object: T; readonly created: boolean }> {
    const query = { fieldManager: options.manager, force: options.force ?? true };
    const path = withQuery(objectPath(refOf(kind, body), options.subresource), query);
    const answer = await this.#write({ method: "PATCH", path, body, contentType: "application/apply-patch+yaml" }, options);
    return { object: object<T>(answer), created: answer.status === 201 };
  }

  async mergePatch<T extends KubeObject = Manifest>(
    ref: ObjectRef,
    patch: unknown,
    options: CallOptions & { manager: string; subresource?: "status" },
  ): Promise<T> {
    const path = withQuery(objectPath(ref, options.subresource), { fieldManager: options.manager });
    return object<T>(await this.#write({ method: "PATCH", path, body: patch, contentType: "application/merge-patch+json" }, options));
  }

  async getScale(ref: ObjectRef, options: CallOptions = {}): Promise<Scale | undefined> {
    return await orUndefined(async () => scaleOf(await this.#read(objectPath(ref, "scale"), options)));
  }

  async setScale(
    ref: ObjectRef,
    scale: { readonly replicas: number; readonly resourceVersion?: string },
    options: CallOptions & { manager: string },
  ): Promise<Scale> {
    const path = withQuery(objectPath(ref, "scale"), { fieldManager: options.manager });
    const metadata = scale.resourceVersion === undefined ? {} : { metadata: { resourceVersion: scale.resourceVersion } };
    const body = { ...metadata, spec: { replicas: scale.replicas } };
    return scaleOf(await this.#write({ method: "PATCH", path, body, contentType: "application/merge-patch+json" }, options));
  }

  async discover(options: CallOptions = {}): Promise<Discovery> {
    return await discover(this.#options.transport, options.signal);
  }

  async #read(path: string, options: CallOptions): Promise<Answer> {
    const timeoutMs = this.#options.readTimeoutMs ?? 30_000;
    return await this.#options.transport.request({ method: "GET", path, timeoutMs, ...signalOf(options) });
  }

  async #write(call: Pick<Call, "method" | "path" | "body" | "contentType">, options: CallOptions): Promise<Answer> {
    const ownMs = this.#options.writeTimeoutMs ?? 9_000;
    const timeoutMs = Math.floor(Math.min(ownMs, this.#options.fence?.writeBudgetMs() ?? ownMs));
    if (timeoutMs <= 0) {
      throw new KubeError({ status: 0, reason: "NotLeader", message: `${call.method} not sent: this process does not lead` });
    }
    // The API server is told too, so that it does not go on with a write we have given up.
    const join = call.path.includes("?") ? "&" : "?";
    return await this.#options.transport.request({
      ...call,
      path: `${call.path}${join}timeout=${timeoutMs}ms`,
      timeoutMs,
      ...signalOf(options),
    });
  }
}

const signalOf = (options: CallOptions) => (options.signal ? { signal: options.signal } : {});

const refOf = (kind: Kind, of: KubeObject): ObjectRef => ({
  kind,
  name: of.metadata.name,
  ...(of.metadata.namespace === undefined ? {} : { namespace: of.metadata.namespace }),
});

async function orUndefined<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The answer as an object. Only what every object has is checked: the API server validated the rest. */
function object<T extends KubeObject>(answer: Answer): T {
  const body = answer.body as T | undefined;
  if (typeof body?.metadata?.name === "string") return body;
  throw new KubeError({ status: 0, reason: "Malformed", message: "the answer is not a Kubernetes object" });
}

function scaleOf(answer: Answer): Scale {
  const body = object<KubeObject & { spec?: { replicas?: number }; status?: { replicas?: number } }>(answer);
  return {
    specReplicas: body.spec?.replicas ?? 0, // both have omitempty: absent means 0
    statusReplicas: body.status?.replicas ?? 0,
    resourceVersion: body.metadata.resourceVersion ?? "",
  };
}
