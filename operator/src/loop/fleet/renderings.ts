// Why: rules and dashboards are a quarter of a megabyte a fleet and hang on little; a pass a minute would build and digest them
// to find that nothing changed. What is kept of a rendering is what a watch keeps of the object: its head and a digest of its
// content. It must never outlive its inputs, or its fleet.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject } from "../../desired/acceptance.ts";
import type { RenderContext } from "../../desired/pod-template.ts";
import type { KubeObject, Manifest } from "../../plan/object.ts";
import { rendered } from "../../plan/rendered.ts";
import type { Kind } from "../kinds.ts";
import { lean } from "../lean.ts";

type Kept = { readonly inputs: string; readonly context: RenderContext; readonly rendering: Manifest };

/** An object of which a watch keeps no content: `head` is its lean rendering, `whole` what is applied. */
export type LeanDesired = { readonly head: Manifest; readonly whole: () => KubeObject };

/** Pure builder of an object that is kept lean. */
export type Render = (cluster: NexusCluster, context: RenderContext) => KubeObject;

export class Renderings {
  /** By cluster key, then by kind: one object of a kind and fleet. */
  readonly #fleets = new Map<string, Map<string, Kept>>();

  /** Fleets of which something is kept. */
  get size(): number {
    return this.#fleets.size;
  }

  /**
   * What `render` makes of the fleet. Its `head` is the same object until the fleet's name, owner, spec or the context is another.
   * `render` sees nothing else of the cluster: neither its status nor its labels.
   */
  of(kind: Kind, { cluster, context }: { readonly cluster: NexusCluster; readonly context: RenderContext }, render: Render): LeanDesired {
    const subject = inputsOf(cluster);
    const whole = () => render(subject, context);
    const inputs = JSON.stringify(subject);
    const key = keyOfObject(cluster);
    const fleet = this.#fleets.get(key) ?? new Map<string, Kept>();
    const before = fleet.get(kind.kind);
    if (before && before.inputs === inputs && before.context === context) return { head: before.rendering, whole };
    const rendering = lean(rendered(whole(), "metadata").object);
    fleet.set(kind.kind, { inputs, context, rendering });
    this.#fleets.set(key, fleet);
    return { head: rendering, whole };
  }

  /** The fleet is gone. */
  forget(clusterKey: string): void {
    this.#fleets.delete(clusterKey);
  }
}

function inputsOf({ apiVersion, kind, metadata, spec }: NexusCluster): NexusCluster {
  const { name, namespace, uid } = metadata;
  return {
    ...{ apiVersion, kind, spec },
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) },
  };
}
