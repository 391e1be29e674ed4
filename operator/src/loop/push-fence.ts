// Why: pods refuse old leaders by `{term, sequence}`. This hands out pairs that only grow, and decides what a refusal means:
// we lost the Lease (stop), or the pod met a term of ours that is older than we are now (raise it). It must never raise a
// term without an update of the Lease that succeeded.
import type { PushStale } from "@nexus/protocol/admin.ts";
import type { Leadership } from "./ports.ts";

export type Pair = { readonly term: string; readonly sequence: number };

export class PushFence {
  readonly #leadership: Pick<Leadership, "mayWrite" | "writeBudgetMs" | "term" | "raiseTerm">;
  #sequence = 0;
  #raising: Promise<bigint | undefined> | undefined;

  constructor(leadership: Pick<Leadership, "mayWrite" | "writeBudgetMs" | "term" | "raiseTerm">) {
    this.#leadership = leadership;
  }

  /** The pair of the next push, or undefined when no push may start. Ask right before each. */
  next(): Pair | undefined {
    const term = this.#leadership.term();
    if (term === undefined || !this.#leadership.mayWrite()) return undefined;
    return { term: term.toString(), sequence: ++this.#sequence };
  }

  /** Milliseconds in which a push that starts now must have ended. */
  budgetMs(): number {
    return this.#leadership.writeBudgetMs();
  }

  /**
   * A pod refused `sent`. `again`: our term is higher now. `reset`: the Lease is ours, but terms went backwards (etcd was
   * restored); the next push to this pod has to say so. `lost`: somebody else leads. Rejects with `KubeError`.
   */
  async refused(sent: Pair, stale: PushStale): Promise<"again" | "reset" | "lost"> {
    const theirs = BigInt(stale.term);
    const current = this.#leadership.term();
    // Another pod's refusal raised it meanwhile, or the Lease was made anew.
    if (current !== undefined && current > BigInt(sent.term) && current > theirs && this.#leadership.mayWrite()) return "again";
    this.#raising ??= this.#leadership.raiseTerm().finally(() => {
      this.#raising = undefined;
    });
    const raised = await this.#raising;
    if (raised === undefined) return "lost";
    return raised > theirs ? "again" : "reset";
  }
}
