// Why: a store lags behind our own writes: judged by an older state, the next look would write again and meet a conflict. What
// the API server answered last is remembered until the store has it. It must never hide what happened later.
import type { KubeObject } from "../plan/object.ts";
import type { Clock } from "./clock.ts";
import { keyOf, type Store } from "./ports.ts";

/** A store that lags longer than this has other troubles; an answer that outlived a deletion must not hide it for ever. */
const ANSWER_MS = 10_000;

export class NewestObjects {
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly object: KubeObject; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The younger of the store's object and our last answer about it. */
  get<T extends KubeObject>(store: Store<T>, desired: KubeObject): T | undefined {
    const key = keyFor(desired);
    const stored = store.get(keyOf(desired));
    const answer = this.#answers.get(key);
    if (!answer) return stored;
    const isCurrent = answer.untilMs > this.#clock.monotonicMs() && isOlder(stored, answer.object);
    if (isCurrent) return answer.object as T; // it answered a write of an object of this store's kind
    this.#answers.delete(key);
    return stored;
  }

  put(answer: KubeObject): void {
    this.#answers.set(keyFor(answer), { object: answer, untilMs: this.#clock.monotonicMs() + ANSWER_MS });
  }

  /** It turned out to be out of date, or was deleted. */
  forget(object: KubeObject): void {
    this.#answers.delete(keyFor(object));
  }
}

const keyFor = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`;

/** Versions of one API server are one growing sequence. */
function isOlder(stored: KubeObject | undefined, answer: KubeObject): boolean {
  const [a, b] = [stored?.metadata.resourceVersion, answer.metadata.resourceVersion];
  return b !== undefined && (a === undefined || BigInt(a) < BigInt(b));
}
