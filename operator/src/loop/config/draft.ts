// Why: what one look at a part of a cluster's configuration came to, gathered before anything is done about it.
import type { BundleEntry } from "@nexus/protocol/bundle.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import type { AttachedKind } from "./notes.ts";

/**
 * An object whose status may have something new to say.
 * - `now`: something else became of it.
 * - `first`: a start looks at it.
 * - `edited`, `put`: its entry is new; pods are about to answer. Only a user waits for a word on the way.
 */
export type Wake = { readonly kind: AttachedKind; readonly key: string; readonly when: "now" | "first" | "edited" | "put" };

export class Draft {
  readonly put: BundleEntry[] = [];
  /** Keys of entries in the live bundle that no object stands for any more. */
  gone: string[] = [];
  /** Who wants an id of `gone` and must not have it before the data under it are purged, by tenant id. */
  readonly heirs = new Map<string, Tenant>();
  readonly wakes: Wake[] = [];

  wake(kind: AttachedKind, key: string, when: Wake["when"]): void {
    this.wakes.push({ kind, key, when });
  }
}
