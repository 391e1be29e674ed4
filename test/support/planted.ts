// Why: what must never come out is put in where it belongs, one of its kind per place, and looked for in everything that comes out, in
// every form in which a text travels. A leak names the place it was put in and the one it came out of, so that the way is known.

/** How a text may look after it went through something. */
export function formsOf(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  // Inside a longer text, base64 begins at any of three places: what surrounds it spoils the first and last characters.
  const inner = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replaceAll("=", "");
    return text.slice(shift === 0 ? 0 : 4, Math.floor(((shift + bytes.length) * 4) / 3) - 2);
  });
  const url = inner.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  return [...new Set([value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), bytes.toString("hex"), ...inner, ...url])];
}

export class Planted {
  readonly #values = new Map<string, string>();

  /** A new text that is nowhere else; `place` says where it is put. */
  word(place: string): string {
    return this.add(place, `planted+${place.toLowerCase().replaceAll(/[^a-z]+/g, "-")}/${crypto.randomUUID().slice(0, 13)}`);
  }

  /** A secret that somebody else made. @throws Error for one that is too short to be looked for */
  add(place: string, value: string): string {
    if (value.length < 8) throw new Error(`${place}: too short to be told from other text`);
    this.#values.set(place, value);
    return value;
  }

  /** What was planted there. @throws Error when nothing was */
  valueOf(place: string): string {
    const value = this.#values.get(place);
    if (value === undefined) throw new Error(`nothing was planted in ${place}`);
    return value;
  }

  get places(): readonly string[] {
    return [...this.#values.keys()];
  }

  /** `<place> in <where>` for each that is in `text`; `allowed`: places whose content belongs there. */
  leaksIn(where: string, text: string, allowed: readonly string[] = []): readonly string[] {
    return [...this.#values]
      .filter(([place, value]) => !allowed.includes(place) && formsOf(value).some((form) => text.includes(form)))
      .map(([place]) => `${place} in ${where}`);
  }
}
