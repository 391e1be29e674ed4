// Why: elections under a manual clock need an API server for one Lease that compares versions, can lose answers and can be
// edited by a third party. It must behave like the real one in what a Lease holder relies on, and nothing else.

import type { LeaseApi } from "@nexus/operator/kube/lease.ts";
import type { Lease } from "@nexus/operator/kube/lease-record.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";

export class LeaseServer {
  #version = 100;
  lease: Lease | undefined;
  /** Everything that was written, in order. */
  readonly writes: { readonly holder: string; readonly version: string }[] = [];

  /** A third party edits, deletes (undefined) or makes the Lease. */
  edit(change: (lease: Lease) => Lease | undefined): void {
    const next = this.lease && change(this.lease);
    this.lease = next && this.#stamped(next);
  }

  /** etcd is restored from a backup: the Lease as it was then, and versions go on from there. */
  restore(backup: Lease | undefined): void {
    this.#version = Number(backup?.metadata.resourceVersion ?? 100);
    this.lease = structuredClone(backup);
  }

  /** Access of one candidate; `link` decides what happens to its requests. */
  client(link: { down?: boolean; losesAnswers?: boolean } = {}): LeaseApi {
    const guard = async <T>(answer: () => T, isWrite = true): Promise<T> => {
      if (link.down) throw new KubeError({ status: 0, reason: "Network", message: "down" });
      const result = answer();
      if (isWrite && link.losesAnswers) throw new KubeError({ status: 0, reason: "Timeout", message: "the answer was lost" });
      return result;
    };
    // The three verbs are generic in the port; a Lease is the only kind here.
    return {
      get: () => guard(() => structuredClone(this.lease), false),
      create: (_: unknown, lease: Lease) => guard(() => this.#create(lease)),
      update: (_: unknown, lease: Lease) => guard(() => this.#update(lease)),
    } as unknown as LeaseApi;
  }

  #create(lease: Lease): Lease {
    if (this.lease) throw new KubeError({ status: 409, reason: "AlreadyExists", message: "exists" });
    return this.#store({ ...lease, metadata: { ...lease.metadata, uid: crypto.randomUUID() } });
  }

  #update(lease: Lease): Lease {
    if (!this.lease) throw new KubeError({ status: 404, reason: "NotFound", message: "gone" });
    const isSame = lease.metadata.uid === this.lease.metadata.uid && lease.metadata.resourceVersion === this.lease.metadata.resourceVersion;
    if (!isSame) throw new KubeError({ status: 409, reason: "Conflict", message: "changed" });
    return this.#store(lease);
  }

  #store(lease: Lease): Lease {
    this.lease = this.#stamped(lease);
    this.writes.push({ holder: lease.spec?.holderIdentity ?? "", version: this.lease.metadata.resourceVersion ?? "" });
    return structuredClone(this.lease);
  }

  #stamped(lease: Lease): Lease {
    return { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } };
  }
}
