// Why: twenty pods are told the same: the JSON of a bucket or of a change is made once and shared. Bounded, because what all pods
// have heard is of no use any more. Texts of JSON arrays of entries, by what they lead from and to.

/** Characters that are kept, over all texts of one bundle. */
const MOST_CHARACTERS = 8 * 1024 * 1024;

export class PushTexts {
  readonly #texts = new Map<string, string>();
  #characters = 0;

  /** The text under `key`, made when it is not there. */
  get(key: string, make: () => string): string {
    const known = this.#texts.get(key);
    if (known !== undefined) {
      this.#texts.delete(key); // to the end: the one that was asked for least lately goes first
      this.#texts.set(key, known);
      return known;
    }
    const text = make();
    if (text.length > MOST_CHARACTERS) return text;
    this.#texts.set(key, text);
    this.#characters += text.length;
    for (const [oldest, { length }] of this.#texts) {
      if (this.#characters <= MOST_CHARACTERS) break;
      this.#texts.delete(oldest);
      this.#characters -= length;
    }
    return text;
  }
}
