// Why: a store lags behind our own writes; without remembering them the next pass would judge by an old status and write the
// same again. It must never hide a status that somebody else changed.
import type { KubeObject } from "../plan/object.ts";
import type { Kind } from "./kinds.ts";
import type { StatusWriter } from "./ports.ts";

type WithStatus<S> = KubeObject & { readonly status?: S };
type Written = { readonly uid: string; readonly over: string | undefined; readonly status: unknown };

export class StatusBook {
  readonly #writer: StatusWriter;
  readonly #written = new Map<string, Written>();

  constructor(writer: StatusWriter) {
    this.#writer = writer;
  }

  /** The status as we know it: our last write, as long as the store has not moved since; then the store's. */
  current<S>(object: WithStatus<S>): S | undefined {
    const { uid = "", resourceVersion } = object.metadata;
    const written = this.#written.get(uid);
    if (!written) return object.status;
    if (written.over === resourceVersion) return written.status as S; // written by `write`, with this object's status type
    this.#written.delete(uid);
    return object.status;
  }

  async write<S>(kind: Kind, object: WithStatus<S>, status: S): Promise<"written" | "inSync" | "gone"> {
    const { uid = "", resourceVersion } = object.metadata;
    const outcome = await this.#writer.write({ kind, live: { ...object, status: this.current(object) }, status });
    if (outcome === "written") this.#written.set(uid, { uid, over: resourceVersion, status });
    return outcome;
  }

  forget(uid: string): void {
    this.#written.delete(uid);
  }
}
