// Why: offsets that were given out once must not be given out again under the same epoch. A file that was put back from a
// backup, or lost its last commits in a power cut, would do that: a second small file beside it says how far it had been.
// It must never claim more than is in the database.
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { codeOf } from "./database.ts";
import type { Meta } from "./meta.ts";

export type Synchronous = "FULL" | "NORMAL";

/** Beside the database. */
export const sealPath = (file: string): string => `${file}-seal`;

export class Seal {
  readonly #file: string;
  readonly #meta: Meta;
  #written: number | undefined;

  constructor(file: string, meta: Meta) {
    this.#file = file;
    this.#meta = meta;
  }

  /**
   * Why the places that were given out before cannot be trusted; undefined when they can. `boot` names the run of the
   * operating system; empty where it cannot be told.
   */
  doubt(boot: string): string | undefined {
    const text = this.#read();
    const [instance, seq] = text?.split(" ") ?? [];
    if (text === undefined) return "the seal is missing";
    if (instance !== this.#meta.instance) return "the seal belongs to another database";
    if (!(Number(seq) <= this.#meta.seq)) return "the database is older than its seal";
    const left = this.#meta.run;
    if (left?.startsWith("NORMAL ") && (boot === "" || left !== runOf("NORMAL", boot))) return "power may have been lost";
    return undefined;
  }

  /** Says how far the database is. Call when what `meta` counts is stored; writes only when it moved. One call at a time. */
  async write(): Promise<void> {
    const { instance, seq } = this.#meta;
    if (this.#written === seq) return;
    const path = sealPath(this.#file);
    const temporary = `${path}.new`;
    const handle = await open(temporary, "w", 0o600);
    try {
      await handle.writeFile(`${instance} ${seq}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    this.#written = seq;
  }

  #read(): string | undefined {
    try {
      return readFileSync(sealPath(this.#file), "utf8").trim();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}

/** What a run that has begun leaves in the database until it ends well. */
export const runOf = (synchronous: Synchronous, boot: string): string => `${synchronous} ${boot}`;

/** Changes whenever the machine starts; empty where it cannot be told. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return ""; // not Linux, or hidden: the caller takes the careful way
  }
}
