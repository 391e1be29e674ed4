// Why: a bounded number of connections, and a bound on how long anyone waits for one or for an answer. A database that is
// away costs its callers nothing: they are refused at once, while one probe looks whether it is back.
// It must never repeat a statement by itself: whether one was done is known to nobody but the database.
import { SQL } from "bun";
import type { Log } from "../../core/ports.ts";
import { isAway, unavailable } from "./failure.ts";

/** `url`: asked for each time connections are made anew. `timeoutMs`: for the connection and the answer together. */
export type PoolOptions = { readonly url: () => string; readonly size: number; readonly timeoutMs: number; readonly log: Log } & PoolTiming;

/** Told how long each statement took, waiting for a connection included, in milliseconds, however it ended. */
export type PoolTiming = { readonly timed?: ((milliseconds: number) => void) | undefined };

/** Statements since the start, by how they ended. `rejected`: not sent. */
export type PoolCalls = Readonly<Record<"ok" | "failed" | "timeout" | "rejected", number>>;

export type PoolHealth = { readonly connected: boolean; readonly size: number; readonly idle: number };

export type Value = string | number | boolean | null | ReturnType<SQL["array"]>;

/** Callers that may wait for a connection; more are refused. */
const MAX_WAITING = 10_000;
const PROBE_MS = 500;

type Waiting = { readonly go: () => void; readonly until: number };

export class Pool {
  readonly #options: PoolOptions;
  #sql: SQL;
  #busy = 0;
  #waiting: Waiting[] = [];
  #isAway = false;
  #isClosed = false;
  #probing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #calls = { ok: 0, failed: 0, timeout: 0, rejected: 0 };

  /** Connects when it is first used. */
  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sql = this.#open();
  }

  health(): PoolHealth {
    const { size } = this.#options;
    return { connected: !this.#isAway && !this.#isClosed, size, idle: this.#isAway ? 0 : Math.max(size - this.#busy, 0) };
  }

  calls(): PoolCalls {
    return { ...this.#calls };
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** For what needs several statements in a row before anyone else is served: migrations. */
  get sql(): SQL {
    return this.#sql;
  }

  texts(values: readonly (string | null)[]): Value {
    return this.#sql.array([...values], "TEXT");
  }

  numbers(values: readonly number[]): Value {
    return this.#sql.array([...values], "BIGINT");
  }

  /**
   * One statement, which is one transaction. Rows as the database names them; bigints as text.
   * @throws Failure `broker_unavailable` when it is away, when no connection came free in time, or when it was refused
   */
  async run<Row>(text: string, values: readonly Value[]): Promise<readonly Row[]> {
    const startedAt = performance.now();
    const until = startedAt + this.#options.timeoutMs;
    await this.#admit(until);
    const sql = this.#sql;
    try {
      const rows = await bounded<readonly Row[]>(sql.unsafe(text, [...values]), until - performance.now());
      this.#calls.ok++;
      return rows;
    } catch (error) {
      this.#calls[error instanceof Late ? "timeout" : "failed"]++;
      if (error instanceof Late) this.#replace(sql);
      else if (isAway(error)) this.#suspect();
      throw unavailable("PostgreSQL did not take the statement", error);
    } finally {
      this.#options.timed?.(performance.now() - startedAt);
      this.#exit();
    }
  }

  /** Resolves with a connection taken. @throws Failure `broker_unavailable` */
  async #admit(until: number): Promise<void> {
    try {
      this.assertOpen();
      if (this.#isAway) throw unavailable("PostgreSQL is away");
      await this.#enter(until);
    } catch (error) {
      this.#calls.rejected++;
      throw error;
    }
  }

  /** @throws Failure `broker_unavailable` */
  assertOpen(): void {
    if (this.#isClosed) throw unavailable("The engine is closed");
  }

  /** Takes no more; statements that run get their time. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { go } of this.#waiting.splice(0)) go();
    await this.#sql.close({ timeout: this.#options.timeoutMs / 1000 });
  }

  #open(): SQL {
    const { url, size, timeoutMs } = this.#options;
    return new SQL(url(), {
      ...{ max: size, connectionTimeout: Math.max(Math.floor(timeoutMs / 1000), 1), idleTimeout: 600 },
      // The server gives up before we do: what it was asked is then rolled back, not in doubt.
      connection: {
        application_name: "nexus",
        statement_timeout: Math.floor(timeoutMs * 0.8),
        idle_in_transaction_session_timeout: timeoutMs,
      },
    });
  }

  async #enter(until: number): Promise<void> {
    if (this.#busy < this.#options.size) {
      this.#busy++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) throw unavailable("Too many wait for PostgreSQL");
    const { promise, resolve } = Promise.withResolvers<void>();
    const place: Waiting = { go: resolve, until };
    this.#waiting.push(place);
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((one) => one !== place);
      resolve();
    }, this.#options.timeoutMs);
    await promise;
    clearTimeout(timer);
    if (this.#isClosed || this.#isAway || performance.now() >= until) {
      throw unavailable(this.#isClosed ? "The engine is closed" : "No connection to PostgreSQL came free in time");
    }
    this.#busy++;
  }

  #exit(): void {
    this.#busy--;
    this.#waiting.shift()?.go();
  }

  /** No answer at all: what these connections still carry is nobody's business any more. */
  #replace(stuck: SQL): void {
    if (stuck === this.#sql && !this.#isClosed) {
      this.#sql = this.#open();
      this.#options.log.warn("postgres.connections_replaced", { timeoutMs: this.#options.timeoutMs });
      void stuck.close({ timeout: 0 });
    }
    this.#suspect();
  }

  /** One broken connection says little; a probe says whether the database is there. */
  #suspect(): void {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
    });
  }

  async #probe(): Promise<void> {
    if (this.#isClosed) return;
    const sql = this.#sql;
    try {
      const rows = await bounded<readonly unknown[]>(
        sql.unsafe("SELECT 1 FROM nexus.meta WHERE NOT pg_is_in_recovery()", []),
        this.#options.timeoutMs,
      );
      if (rows.length === 0) throw new Error("this PostgreSQL is a standby, or holds nothing of ours");
      if (this.#isAway) this.#options.log.info("postgres.back");
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway) this.#options.log.warn("postgres.away", { error: String(error) });
      this.#isAway = true;
      for (const { go } of this.#waiting.splice(0)) go();
      if (sql === this.#sql && !this.#isClosed) {
        this.#sql = this.#open(); // to wherever the address leads by now, with the password of now
        void sql.close({ timeout: 0 });
      }
      if (!this.#isClosed) this.#timer = setTimeout(() => this.#suspect(), PROBE_MS * (0.5 + Math.random()));
    }
  }
}

class Late extends Error {}

async function bounded<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Late("no answer in time")), Math.max(ms, 0));
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
