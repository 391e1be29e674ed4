// Why: what backends were told is stored, and what people were handed, side by side: the only witness of a fault.
// It must never count a publish that was not answered with 200.

/** One publish that was answered with 200. Times in milliseconds of `performance.now()`. */
export type Accepted = { readonly id: string; readonly askedAt: number; readonly answeredAt: number };

export class Ledger {
  /** By stream as clients name it; an inbox under `user <name>`. */
  readonly #accepted = new Map<string, Accepted[]>();
  readonly #refused = new Map<string, number>();
  #count = 0;

  accept(stream: string, accepted: Accepted): void {
    const list = this.#accepted.get(stream);
    if (list) list.push(accepted);
    else this.#accepted.set(stream, [accepted]);
    this.#count++;
  }

  /** `why`: a status or what the network said. */
  refuse(why: string): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }

  of(stream: string): readonly Accepted[] {
    return this.#accepted.get(stream) ?? [];
  }

  get accepted(): number {
    return this.#count;
  }

  /** How many publishes failed, by reason. */
  get refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refused);
  }

  get refusals(): number {
    return [...this.#refused.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** The stream of a user in the ledger. */
export const inboxOf = (user: string): string => `user ${user}`;
