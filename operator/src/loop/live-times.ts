// Why: how long an edit takes to be live is what people feel of the operator. Measured from the moment an edit is seen to the
// word of the last pod that was ready then. It must never measure waiting for pods that nobody asked for, nor grow without end.
import type { Clock } from "./clock.ts";
import type { Mark } from "./push-bucket.ts";

export type LiveTimesOptions = {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** What the live bundle of a cluster knows of an entry. */
  readonly mark: (cluster: string, entryKey: string) => Pick<Mark, "uid" | "generation" | "acknowledged"> | undefined;
  readonly hasReadyPods: (cluster: string) => boolean;
  readonly observe: (seconds: number) => void;
  /** Edits that are waited for at once; the oldest is given up for one more (one that was refused is never live). */
  readonly most?: number;
};

export type Edited = { readonly metadata: { readonly uid?: string; readonly generation?: number } };

type Edit = { readonly version: string; readonly seenMs: number };

const MOST = 10_000;

export class LiveTimes {
  readonly #options: LiveTimesOptions;
  readonly #edits = new Map<string, Edit>();

  constructor(options: LiveTimesOptions) {
    this.#options = options;
  }

  /** `key` is the object's; a newer edit of it replaces an older one. */
  seen(key: string, object: Edited, cluster: string): void {
    const { clock, hasReadyPods, most = MOST } = this.#options;
    this.#edits.delete(key); // to the end: the oldest are first
    if (!hasReadyPods(cluster)) return;
    const [oldest] = this.#edits.keys();
    if (oldest !== undefined && this.#edits.size >= most) this.#edits.delete(oldest);
    this.#edits.set(key, { version: versionOf(object.metadata), seenMs: clock.monotonicMs() });
  }

  forget(key: string): void {
    this.#edits.delete(key);
  }

  /** Pods said something about the entry behind the object. */
  answered(key: string, cluster: string, entryKey: string): void {
    const edit = this.#edits.get(key);
    if (!edit) return;
    const mark = this.#options.mark(cluster, entryKey);
    if (!mark?.acknowledged || versionOf(mark) !== edit.version) return;
    this.#edits.delete(key);
    this.#options.observe((this.#options.clock.monotonicMs() - edit.seenMs) / 1000);
  }
}

const versionOf = ({ uid = "", generation = 1 }: Edited["metadata"]): string => `${uid}/${generation}`;
