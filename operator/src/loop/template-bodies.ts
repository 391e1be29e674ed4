// Why: a watch brings a Template's content just before the pass that compiles it; keeping it for that moment saves a GET for
// each edit. Bounded: what does not fit, or is never asked for (a standby asks for nothing), is read again when it is needed.
import type { Template } from "@nexus/protocol/resources/template.ts";
import { keyOfObject } from "../desired/acceptance.ts";

/** Characters of JSON that may wait, over all Templates. */
const MOST_CHARACTERS = 16 * 1024 * 1024;

type Body = { readonly uid: string | undefined; readonly generation: number | undefined; readonly json: string };

export class TemplateBodies {
  readonly #most: number;
  readonly #bodies = new Map<string, Body>();
  #characters = 0;

  constructor(most = MOST_CHARACTERS) {
    this.#most = most;
  }

  put(template: Template): void {
    const key = keyOfObject(template);
    this.drop(key);
    const { uid, generation } = template.metadata;
    const { status: _, ...content } = template;
    const json = JSON.stringify(content);
    if (json.length > this.#most) return;
    this.#bodies.set(key, { uid, generation, json });
    this.#characters += json.length;
    // Maps keep the order of insertion: the oldest goes first.
    for (const oldest of this.#bodies.keys()) {
      if (this.#characters <= this.#most) break;
      this.drop(oldest);
    }
  }

  /** The content of exactly this version, once. */
  take(key: string, { uid, generation }: Template["metadata"]): Template | undefined {
    const body = this.#bodies.get(key);
    if (!body || body.uid !== uid || body.generation !== generation) return undefined;
    this.drop(key);
    return JSON.parse(body.json) as Template; // written by put
  }

  drop(key: string): void {
    const body = this.#bodies.get(key);
    if (!body) return;
    this.#bodies.delete(key);
    this.#characters -= body.json.length;
  }
}
