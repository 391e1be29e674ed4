// Why: the operator's own pass over a fleet can be asked what it would make when the cluster it writes to is a map. It must
// never reach a network, and it answers what a fresh, empty API server would.
import type { Kind } from "@nexus/operator/loop/kinds.ts";
import type { ChildApplier, KubeApi, ObjectRef, Scale, Store } from "@nexus/operator/loop/ports.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";

/** One object: what each field manager applied, and the size that was set. */
type Held = { readonly kind: Kind; readonly parts: Map<string, KubeObject>; version: number; replicas: number | undefined };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const keyOf = (kind: Kind, namespace: string | undefined, name: string): string => `${kind.group}/${kind.kind} ${namespace ?? ""}/${name}`;

/** Objects side by side in one tree; of two values the later one stands. */
export function merged(one: unknown, other: unknown): unknown {
  if (!isRecord(one) || !isRecord(other)) return other;
  const result: Record<string, unknown> = { ...one };
  for (const [name, value] of Object.entries(other)) result[name] = name in result ? merged(result[name], value) : value;
  return result;
}

export class MemoryCluster {
  readonly #held = new Map<string, Held>();
  /** Secrets of users: there, but none of what was made. */
  readonly #given: ReadonlyMap<string, KubeObject>;
  #version = 1;

  /** `given`: by `namespace/name`. */
  constructor(given: ReadonlyMap<string, KubeObject>) {
    this.#given = given;
  }

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  /** What was made, by kind and name. */
  objects(): readonly { readonly kind: Kind; readonly object: Manifest }[] {
    return [...this.#held].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, held]) => ({ kind: held.kind, object: whole(held) }));
  }

  /** A store over what was made of one kind. */
  store(kind: Kind): Store<KubeObject> {
    const all = () => [...this.#held.values()].filter((held) => held.kind.kind === kind.kind && held.kind.group === kind.group).map(seen);
    const key = (object: KubeObject) => `${object.metadata.namespace}/${object.metadata.name}`;
    return {
      get size() {
        return all().length;
      },
      get: (wanted) => all().find((object) => key(object) === wanted),
      list: all,
      keys: () => all().map(key).values(),
      byIndex: () => [],
      counted: () => 0,
      hasSynced: () => true,
    };
  }

  readonly applier: ChildApplier = {
    apply: async ({ kind, desired, manager }) => {
      const isNew = this.#find(kind, desired.metadata.namespace, desired.metadata.name) === undefined;
      const live = this.#put(kind, desired, manager);
      return isNew ? { kind: "created", live } : { kind: "inSync", live, foreign: [] };
    },
  };

  readonly api: KubeApi = {
    get: async <T extends KubeObject>({ kind, namespace, name }: ObjectRef) => {
      const held = this.#find(kind, namespace, name);
      const found = held ? seen(held) : kind.kind === "Secret" ? this.#given.get(`${namespace}/${name}`) : undefined;
      return found as T | undefined; // the caller names the type of the kind it asks for, as with the real one
    },
    list: async <T extends KubeObject>(kind: Kind) => ({ items: this.store(kind).list() as T[], resourceVersion: String(this.#version) }),
    heads: async (kind) => this.store(kind).list(),
    create: async (kind, object, options) => this.#put(kind, object, options?.manager ?? "nexus"),
    update: async (kind, object, options) => this.#put(kind, object, options?.manager ?? "nexus"),
    delete: async ({ kind, namespace, name }) => this.#held.delete(keyOf(kind, namespace, name)),
    apply: async <T extends KubeObject>(kind: Kind, object: KubeObject, { manager }: { manager: string }) => ({
      object: this.#put(kind, object, manager) as T,
      created: true,
    }),
    mergePatch: async <T extends KubeObject>(ref: ObjectRef, patch: unknown, { manager }: { manager: string }) => {
      const head = {
        apiVersion: "",
        kind: ref.kind.kind,
        metadata: { name: ref.name, ...(ref.namespace ? { namespace: ref.namespace } : {}) },
      };
      return this.#put(ref.kind, merged(head, patch) as KubeObject, manager) as T; // the head makes it one
    },
    getScale: async ({ kind, namespace, name }) => {
      const held = this.#find(kind, namespace, name);
      return held && scaleOf(held);
    },
    setScale: async ({ kind, namespace, name }, { replicas }) => {
      const held = this.#find(kind, namespace, name);
      if (!held) throw new Error(`${kind.kind} ${name} was not made`);
      if (held.replicas !== replicas) this.#version++;
      held.replicas = replicas;
      return scaleOf(held);
    },
    discover: async () => ({ kinds: [], unavailable: [] }),
  };

  #find(kind: Kind, namespace: string | undefined, name: string): Held | undefined {
    return this.#held.get(keyOf(kind, namespace, name));
  }

  /** The whole object after it. */
  #put<T extends KubeObject>(kind: Kind, object: T, manager: string): T {
    const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
    const held = this.#held.get(key) ?? { kind, parts: new Map(), version: 0, replicas: undefined };
    if (JSON.stringify(held.parts.get(manager)) !== JSON.stringify(object)) held.version = ++this.#version;
    held.parts.set(manager, object);
    this.#held.set(key, held);
    return seen(held) as KubeObject as T; // the same object with a version
  }
}

const scaleOf = ({ replicas = 0, version }: Held): Scale => ({
  specReplicas: replicas,
  statusReplicas: 0,
  resourceVersion: String(version),
});

/** What the managers made of it together, and its size. */
function whole({ parts, replicas }: Held): Manifest {
  const [first, ...others] = [...parts.values()];
  const object = others.reduce<unknown>(merged, first) as Manifest; // every part is an object of this kind
  return replicas === undefined ? object : (merged(object, { spec: { replicas } }) as Manifest);
}

function seen(held: Held): Manifest {
  const object = whole(held);
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(held.version) } };
}
