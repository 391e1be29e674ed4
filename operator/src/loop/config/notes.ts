// Why: what compiling an object came to is in the bundle itself, by uid and generation, for all but a few: those that were refused
// or lack a Secret. Only these are written down here.
import type { Refused } from "@nexus/protocol/resources/conditions.ts";

export type AttachedKind = "tenant" | "template";

/** What compiling one object came to; `key` is its entry's. */
export type CompiledObject =
  | {
      readonly kind: "entry";
      readonly key: string;
      readonly id: string;
      readonly missing: readonly string[];
      readonly unusable: readonly string[];
    }
  | { readonly kind: "refused"; readonly refused: Refused }
  /** Its annotation says so: what pods have of it stays. */
  | { readonly kind: "paused" };

type Version = { readonly uid?: string; readonly generation?: number };
type Note = { readonly uid: string; readonly generation: number; readonly result: CompiledObject };

export class Notes {
  readonly #notes = new Map<string, Note>();

  /** Of exactly this version: what became of another one says nothing. */
  get(kind: AttachedKind, key: string, { uid = "", generation = 1 }: Version): CompiledObject | undefined {
    const note = this.#notes.get(`${kind}:${key}`);
    return note?.uid === uid && note.generation === generation ? note.result : undefined;
  }

  /** True when that is news. */
  put(
    kind: AttachedKind,
    key: string,
    { version: { uid = "", generation = 1 }, result }: { version: Version; result: CompiledObject },
  ): boolean {
    const before = this.#notes.get(`${kind}:${key}`);
    this.#notes.set(`${kind}:${key}`, { uid, generation, result });
    return before?.uid !== uid || before.generation !== generation || JSON.stringify(before.result) !== JSON.stringify(result);
  }

  /** True when there was one. */
  drop(kind: AttachedKind, key: string): boolean {
    return this.#notes.delete(`${kind}:${key}`);
  }
}
