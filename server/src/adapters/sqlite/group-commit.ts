// Why: a transaction costs the same for one write as for a hundred, so writes of one turn of the event loop share one, and
// those that come while it is brought to the disk share the next. It must never resolve a write before it is as safe as
// the setting says, nor let one be seen that was rolled back.
import type { Database } from "bun:sqlite";
import { Failure } from "@nexus/protocol/failures.ts";
import type { Log } from "../../core/ports.ts";
import { codeOf, isDamage } from "./database.ts";

/** One write: `run` inside the transaction, `after` once it is safe, in the order the writes were made. */
type Write = {
  readonly run: () => unknown;
  readonly after: (value: unknown) => void;
  readonly fail: (error: Failure) => void;
};

/** Writes of one transaction: what waits beyond has to wait for the next, so that sockets get their turn. */
const MAX_GROUP = 512;

export type GroupCommitOptions = {
  readonly db: Database;
  readonly file: string;
  readonly log: Log;
  /** Resolves once committed transactions are on the disk; undefined: the page cache is safe enough. */
  readonly sync?: () => Promise<void>;
  /** Last step inside each transaction. */
  readonly seal: () => void;
  /** What was remembered of the transaction is true now, or is not. */
  readonly settled: (isCommitted: boolean) => void;
};

type Transacted = { readonly values: readonly unknown[]; readonly hasChanged: boolean };

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #waiting: Write[] = [];
  #isScheduled = false;
  /** While what was committed is brought to the disk. */
  #syncing: Promise<void> | undefined;
  #failing = false;
  /** What is on the disk is not known any more: nothing may be said to be stored until a new process has read it. */
  #broken: Failure | undefined;
  #isClosed = false;
  readonly #statements: Record<"begin" | "commit" | "rollback", () => void>;
  /** Rows that were ever changed. */
  readonly #changes: () => number;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    const statement = (sql: string) => {
      const prepared = options.db.query(sql);
      return () => void prepared.run();
    };
    this.#statements = { begin: statement("BEGIN IMMEDIATE"), commit: statement("COMMIT"), rollback: statement("ROLLBACK") };
    const changes = options.db.query<{ count: number }, []>("SELECT total_changes() AS count");
    this.#changes = () => changes.get()?.count ?? 0;
  }

  /** Whether the last transaction failed. */
  get isFailing(): boolean {
    return this.#failing || this.#broken !== undefined;
  }

  /**
   * Runs `run` (synchronous, may throw) in the next transaction. Calls `announce` with its value when that is safe, right
   * before the promise resolves; both in the order of calls. Rejects with `Failure` `broker_unavailable`: nothing was kept.
   */
  async write<T>(run: () => T, announce?: (value: T) => void): Promise<T> {
    this.assertOpen();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const after = (value: unknown) => {
      const own = value as T; // what this write's own `run` returned
      this.#announce(announce, own);
      resolve(own);
    };
    this.#waiting.push({ run, after, fail: reject });
    this.#schedule();
    return promise;
  }

  /** Reads what is committed; resolves when what was read is as safe as a write that resolved. */
  async read<T>(query: () => T): Promise<T> {
    this.assertOpen();
    let found: T;
    try {
      found = query();
    } catch (error) {
      throw this.#failure(error, "read");
    }
    await this.#syncing;
    if (this.#broken) throw this.#broken;
    return found;
  }

  /** Takes no more writes; resolves when those that were taken are done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#waiting.length > 0 || this.#syncing) {
      if (!this.#syncing) this.#flush();
      await this.#syncing;
    }
  }

  /** @throws Failure `broker_unavailable` when it is closed or broken */
  assertOpen(): void {
    if (this.#isClosed) throw new Failure({ code: "broker_unavailable", detail: "The engine is closed" });
    if (this.#broken) throw this.#broken;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#syncing) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#syncing) this.#flush();
    });
  }

  #flush(): void {
    const batch = this.#waiting.splice(0, MAX_GROUP);
    if (batch.length === 0) return;
    let done: Transacted;
    try {
      done = this.#transact(batch);
    } catch (error) {
      const failure = this.#failure(error, "write");
      for (const write of batch) write.fail(failure);
      if (this.#waiting.length > 0) this.#schedule();
      return;
    }
    const { values, hasChanged } = done;
    const { sync } = this.#options;
    if (!sync || !hasChanged) {
      this.#finish(batch, values);
      if (this.#waiting.length > 0) this.#schedule();
      return;
    }
    this.#syncing = sync().then(
      () => {
        this.#syncing = undefined;
        this.#finish(batch, values);
        this.#flush();
      },
      (error: unknown) => {
        this.#syncing = undefined;
        this.#broken = this.#failure(error, "sync");
        for (const write of [...batch, ...this.#waiting]) write.fail(this.#broken);
        this.#waiting = [];
      },
    );
  }

  #transact(batch: readonly Write[]): Transacted {
    const { begin, commit, rollback } = this.#statements;
    begin();
    try {
      const before = this.#changes();
      const values = batch.map((write) => write.run());
      this.#options.seal();
      const hasChanged = this.#changes() !== before;
      commit();
      this.#options.settled(true);
      return { values, hasChanged };
    } catch (error) {
      this.#options.settled(false);
      if (this.#options.db.inTransaction) rollback(); // SQLite has rolled back by itself after some failures
      throw error;
    }
  }

  #finish(batch: readonly Write[], values: readonly unknown[]): void {
    if (this.#failing) this.#options.log.info("sqlite.recovered", { file: this.#options.file });
    this.#failing = false;
    for (const [at, write] of batch.entries()) write.after(values[at]);
  }

  #announce<T>(announce: ((value: T) => void) | undefined, value: T): void {
    try {
      announce?.(value);
    } catch (error) {
      // A listener's bug: the entry is stored, and the others still have to hear theirs.
      this.#options.log.error("sqlite.listener_failed", { error });
    }
  }

  /** Logs the first of a row of failures. */
  #failure(error: unknown, step: "read" | "write" | "sync"): Failure {
    const { log, file } = this.#options;
    const isFirst = !this.#failing;
    this.#failing = true;
    if (isFirst) log.error(isDamage(error) ? "sqlite.damaged" : `sqlite.${step}_failed`, { file, reason: codeOf(error), error });
    const detail = step === "read" ? "The store cannot be read" : "The store cannot be written";
    return new Failure({ code: "broker_unavailable", detail }, error);
  }
}
