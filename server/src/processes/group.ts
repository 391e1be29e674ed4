// Why: keeps n processes alive behind one port and makes them look like one server: what is told reaches all of them in
// one order, what they count is added up, whoever ends by itself comes back. It must never restart one while all are to end.
import type { NodeLoad, ShedRequest } from "@nexus/protocol/admin.ts";
import type { LogLevel } from "@nexus/protocol/config.ts";
import type { LevelledLog } from "../adapters/log.ts";
import type { ServerMetrics } from "../adapters/metrics.ts";
import { MetricsSum } from "../adapters/metrics-sum.ts";
import type { Push } from "../core/live-config.ts";
import { sumOfLoads } from "../core/load.ts";
import type { Tombstone } from "../core/purge-ports.ts";
import { HEALTHY_AFTER_MS, restartAfterMs } from "./back-off.ts";
import { INDEX_VARIABLE, type ProcessReport, type ToProcess } from "./messages.ts";
import { ServerProcess } from "./server-process.ts";

/** How often processes are asked how they are, and how long one may say nothing before it is replaced, in milliseconds. */
const BEAT_MS = 5000;
const HUNG_MS = 20_000;
/** How long one may take over a push, and over a report: then what it said last is used. In milliseconds. */
const PUSH_MS = 10_000;
const REPORT_MS = 1000;

export type GroupDeps = {
  readonly count: number;
  /** This very program, with its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: LevelledLog;
  readonly metrics: ServerMetrics;
  readonly random: () => number;
  /** All that a new process has to be told, in order, as of now. */
  readonly handOver: () => Iterable<ToProcess>;
};

export class ProcessGroup {
  readonly #deps: GroupDeps;
  readonly #running = new Map<number, ServerProcess>();
  /** Those that were handed the configuration: from then on they are told every change. */
  readonly #handed = new Set<ServerProcess>();
  readonly #listening = new Set<ServerProcess>();
  readonly #sum = new MetricsSum();
  readonly #ending = Promise.withResolvers<void>();
  #isEnding = false;
  #beat: NodeJS.Timeout | undefined;

  constructor(deps: GroupDeps) {
    this.#deps = deps;
  }

  /** Resolves once all listen. @throws Error when one of them ends before; the others are ended too */
  async start(): Promise<void> {
    const processes = Array.from({ length: this.#deps.count }, (_, index) => this.#spawn(index));
    const listens = async (one: ServerProcess, index: number) => {
      if (!(await one.listening)) throw new Error(`process ${index} could not start`);
    };
    try {
      await Promise.all(processes.map(listens)); // the first that fails is enough: others may wait for Redis for hours
    } catch (error) {
      await this.stop();
      throw error;
    }
    for (const [index, one] of processes.entries()) void this.#keep(index, one);
    this.#beat = setInterval(() => this.#look(), BEAT_MS);
    this.#beat.unref();
  }

  /** Processes that take connections now. */
  up(): number {
    return this.#listening.size;
  }

  /** Resolves when every process has taken the push and stands at `digest`, or is being replaced by one that does. Never rejects. */
  async push(push: Push, digest: string): Promise<void> {
    await Promise.all(
      [...this.#handed].map(async (one) => {
        const told = await one.push(push, PUSH_MS);
        if (told?.outcome === "applied" && told.digest === digest) return;
        this.#deps.log.error("process.push_failed", { pid: one.pid, outcome: told?.outcome ?? "no answer" });
        one.kill(); // the next one is handed everything
        await one.exited;
      }),
    );
  }

  setLogLevel(level: LogLevel): void {
    for (const one of this.#handed) one.send({ kind: "log-level", level });
  }

  /** Of all processes, as they say within a second. */
  async sessions(): Promise<number> {
    const reports = await this.#reports();
    return reports.reduce((sum, { sessions }) => sum + sessions, 0);
  }

  /** Of all processes together, as they say within a second; undefined when none did. */
  async load(): Promise<NodeLoad | undefined> {
    const reports = await this.#reports();
    return sumOfLoads(reports.flatMap(({ load }) => load ?? []));
  }

  /** Each process sends away its share of what it has; how many in all. */
  async shed({ sessions, perSecond }: ShedRequest): Promise<number> {
    const reports = await Promise.all(
      [...this.#handed].map(async (one) => ({ one, sessions: (await one.report(REPORT_MS))?.sessions ?? 0 })),
    );
    const total = reports.reduce((sum, report) => sum + report.sessions, 0);
    const wanted = Math.min(sessions, total);
    let before = 0;
    let given = 0;
    for (const { one, sessions: own } of reports) {
      before += own;
      const upTo = total === 0 ? 0 : Math.round((wanted * before) / total); // cumulative, so that the shares add up
      one.send({ kind: "shed", sessions: upTo - given, perSecond: (perSecond * Math.max(1, upTo - given)) / Math.max(1, wanted) });
      given = upTo;
    }
    return wanted;
  }

  /** Tombstones that one of them says are done: all of them share one store. */
  async purged(): Promise<readonly Tombstone[]> {
    const reports = await this.#reports();
    const told = reports.flatMap(({ purged }) => purged);
    return [...new Map(told.map((tombstone) => [`${tombstone.tenant}\n${tombstone.uid}`, tombstone])).values()];
  }

  /** Everything for scrapers as one text. Takes a second at the most, also when a process hangs. Never rejects. */
  async metricsText(): Promise<string> {
    const { metrics, log } = this.#deps;
    try {
      await this.#reports();
      metrics.processes(this.up());
      const own = await metrics.report();
      // From here on at once: one that ends meanwhile must count neither twice nor not at all.
      const current = [...this.#running.values()].flatMap(({ lastReport }) => (lastReport ? [lastReport.metrics] : []));
      return this.#sum.text(own, current);
    } catch (error) {
      log.error("process.metrics_failed", { error });
      return "";
    }
  }

  /** Lets the sessions of all go at the same time. @throws Error when one ended otherwise or took longer than `withinMs` */
  async drain(withinMs: number): Promise<void> {
    this.#end();
    const processes = [...this.#running.values()];
    for (const one of processes) one.send({ kind: "drain" });
    const timer = setTimeout(() => {
      for (const one of processes) one.kill();
    }, withinMs);
    const codes = await Promise.all(processes.map(({ exited }) => exited));
    clearTimeout(timer);
    const failed = codes.filter((code) => code !== 0);
    if (failed.length > 0) throw new Error(`${failed.length} of ${processes.length} processes ended with ${failed.join(", ")}`);
  }

  /** Ends all at once. */
  async stop(): Promise<void> {
    this.#end();
    const processes = [...this.#running.values()];
    for (const one of processes) one.kill();
    await Promise.all(processes.map(({ exited }) => exited));
  }

  #end(): void {
    this.#isEnding = true;
    this.#ending.resolve();
    clearInterval(this.#beat);
  }

  #spawn(index: number): ServerProcess {
    const { command, env, handOver, log } = this.#deps;
    const one = new ServerProcess({
      command,
      env: { ...env, [INDEX_VARIABLE]: String(index) },
      metricsText: () => this.metricsText(),
      onUp: (up) => {
        for (const message of handOver()) up.send(message);
        this.#handed.add(up);
      },
    });
    log.info("process.spawned", { process: index, pid: one.pid });
    this.#running.set(index, one);
    void one.listening.then((is) => is && this.#listening.add(one));
    void one.exited.then(() => {
      this.#handed.delete(one);
      this.#listening.delete(one);
      if (this.#running.get(index) === one) this.#running.delete(index);
      if (one.lastReport) this.#sum.ended(one.lastReport.metrics);
    });
    return one;
  }

  /** Starts a process again whenever it ends, until all are to end. */
  async #keep(index: number, first: ServerProcess): Promise<void> {
    const { log, metrics, random } = this.#deps;
    let one = first;
    for (let failures = 0; ; ) {
      const startedAt = performance.now();
      const code = await one.exited;
      if (this.#isEnding) return;
      failures = performance.now() - startedAt >= HEALTHY_AFTER_MS ? 1 : failures + 1;
      const inMs = restartAfterMs(failures, random());
      log.error("process.ended", { process: index, pid: one.pid, code, restartInMs: inMs });
      await Promise.race([Bun.sleep(inMs), this.#ending.promise]); // the back-off, cut short by the end
      if (this.#isEnding) return;
      metrics.processRestarted();
      one = this.#spawn(index);
    }
  }

  #look(): void {
    void this.#reports();
    for (const [index, one] of this.#running) {
      if (performance.now() - one.answeredAt < HUNG_MS) continue;
      this.#deps.log.error("process.hangs", { process: index, pid: one.pid });
      one.kill();
    }
  }

  async #reports(): Promise<readonly ProcessReport[]> {
    const reports = await Promise.all([...this.#handed].map((one) => one.report(REPORT_MS)));
    return reports.filter((report) => report !== undefined);
  }
}
