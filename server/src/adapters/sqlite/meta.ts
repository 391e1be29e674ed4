// Why: facts about the whole file: whose it is, under which epoch new streams begin, how many entries it ever took.
// An epoch is kept over a restart, because nothing that was acknowledged is lost; it must change when that is in doubt.
import type { Database } from "bun:sqlite";
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Ids } from "../../core/ports.ts";

type Value = string | number | null;

export class Meta {
  readonly #ids: Pick<Ids, "epoch">;
  readonly #get: (name: string) => Value | undefined;
  readonly #put: (name: string, value: Value) => void;
  readonly #renew: (epoch: string) => void;
  /** Who this file is: made once, with the file. */
  readonly instance: string;
  #epoch: string;
  #seq: number;
  /** As of the last commit. */
  #stored: { readonly seq: number; readonly epoch: string };

  constructor(db: Database, ids: Pick<Ids, "epoch">) {
    this.#ids = ids;
    const get = db.query<{ value: Value }, [string]>("SELECT value FROM meta WHERE name = ?1");
    const put = db.query<unknown, [string, Value]>(
      "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    const renew = db.query<unknown, [string]>("UPDATE streams SET epoch = ?1");
    this.#get = (name) => get.get(name)?.value;
    this.#put = (name, value) => void put.run(name, value);
    this.#renew = (epoch) => void renew.run(epoch);
    this.instance = this.#text("instance");
    this.#epoch = this.#text("epoch");
    this.#seq = Number(this.#get("seq") ?? 0);
    this.#stored = { seq: this.#seq, epoch: this.#epoch };
  }

  /** How many entries were ever appended. */
  get seq(): number {
    return this.#seq;
  }

  /** Where a stream stands that has no entry yet. */
  emptyTop(): Position {
    return { epoch: this.#epoch, offset: 0 };
  }

  /** Only inside a transaction: `seal` stores it, `undo` takes it back. */
  nextSeq(): number {
    return ++this.#seq;
  }

  /** The last step of each transaction. */
  seal(): void {
    if (this.#seq !== this.#stored.seq) this.#put("seq", this.#seq);
  }

  /** After each transaction. */
  settled(isCommitted: boolean): void {
    if (isCommitted) this.#stored = { seq: this.#seq, epoch: this.#epoch };
    else ({ seq: this.#seq, epoch: this.#epoch } = this.#stored);
  }

  /** New streams begin under another epoch from now on. */
  turnEpoch(): void {
    this.#epoch = this.#ids.epoch();
    this.#put("epoch", this.#epoch);
  }

  /** Every stream is under another epoch from now on: whoever presents an old place is told that entries may be missing. */
  renewEpochs(): void {
    this.turnEpoch();
    this.#renew(this.#epoch);
  }

  /** What a run that did not end left behind; null: it ended. */
  get run(): string | null {
    const value = this.#get("run");
    return typeof value === "string" ? value : null;
  }

  set run(text: string | null) {
    this.#put("run", text);
  }

  #text(name: "instance" | "epoch"): string {
    const known = this.#get(name);
    if (typeof known === "string") return known;
    const made = this.#ids.epoch();
    this.#put(name, made);
    return made;
  }
}
