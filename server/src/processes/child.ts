// Why: one of several server processes behind a port. It serves sessions and REST like any other; configuration, log level
// and the end come from the parent. It must never outlive the parent, nor open a port but the public one.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { systemClock as clock } from "../adapters/clock.ts";
import type { LevelledLog } from "../adapters/log.ts";
import { watchMachine } from "../adapters/machine.ts";
import { createMetrics, type ServerMetrics } from "../adapters/metrics.ts";
import { drainOf, keySets, loadOf, observe, type ServedApp, shedOf, startApp } from "../assembly.ts";
import { followLogLevel, nodeName } from "../configured.ts";
import { type Drain, reconnectAfterSeconds } from "../core/drain.ts";
import { createLiveConfig, type LiveConfig, type Push, type PushedBucket } from "../core/live-config.ts";
import { createReadiness, type Readiness } from "../core/readiness.ts";
import type { Shed } from "../core/shed.ts";
import { unpack } from "./archive.ts";
import type { FromProcess, ToProcess } from "./messages.ts";

/** How long a process without a parent may take to end, in milliseconds. */
const ORPHAN_MS = 5000;

/** The line to the parent. `closed` resolves when the parent is gone. */
export type ParentLine = {
  send(message: FromProcess): void;
  onMessage(handler: (message: ToProcess) => void): void;
  readonly closed: Promise<void>;
};

/**
 * Runs until the parent asks for the end (0), is gone (1), or the server cannot start (1). `asked` resolves when a signal
 * asks for a drain.
 */
export async function runChild(config: ServerConfig, index: number, deps: Deps): Promise<number> {
  const child = new Child({ ...config, node: `${nodeName(config)}/${index}` }, deps);
  return await child.run();
}

type Deps = { readonly log: LevelledLog; readonly line: ParentLine; readonly asked: Promise<void> };
type Start = Extract<ToProcess, { kind: "start" }>;

class Child {
  readonly #config: ServerConfig;
  readonly #deps: Deps;
  readonly #metrics: ServerMetrics;
  readonly #live: LiveConfig;
  readonly #rest: PushedBucket[] = [];
  readonly #asked = new Map<number, (text: string) => void>();
  readonly #ended = Promise.withResolvers<number>();
  readonly #machine = watchMachine(clock);
  #serving: { readonly app: ServedApp; readonly drain: Drain; readonly shed: Shed; readonly readiness: Readiness } | undefined;
  #draining: Promise<void> | undefined;
  #lastId = 0;

  constructor(config: ServerConfig, deps: Deps) {
    this.#config = config;
    this.#deps = deps;
    this.#metrics = createMetrics({ version, tenants: config.metrics.tenants });
    const { limits, delivery, processes } = config;
    this.#live = createLiveConfig({ overrides: { limits, delivery, processes }, log: deps.log, clock });
    followLogLevel(this.#live, deps.log, config);
  }

  async run(): Promise<number> {
    const { line, asked } = this.#deps;
    void asked.then(() => this.#drain());
    void line.closed.then(() => this.#orphaned());
    line.onMessage((message) => this.#take(message));
    line.send({ kind: "up" });
    return await this.#ended.promise;
  }

  #take(message: ToProcess): void {
    switch (message.kind) {
      case "bucket": {
        const { bucket, rest } = unpack(message.packed);
        this.#live.load([bucket]);
        if (rest) this.#rest.push(rest);
        return;
      }
      case "start":
        void this.#start(message);
        return;
      case "push":
        this.#push(message.id, message.push);
        return;
      case "report":
        void this.#report(message.id);
        return;
      case "log-level":
        this.#deps.log.setLevel(message.level);
        return;
      case "shed":
        this.#serving?.shed.start(message.sessions, message.perSecond);
        return;
      case "drain":
        this.#drain();
        return;
      case "metrics":
        this.#asked.get(message.id)?.(message.text);
        this.#asked.delete(message.id);
        return;
      default:
        message satisfies never;
    }
  }

  async #start({ port, level, last }: Start): Promise<void> {
    const { log, line } = this.#deps;
    this.#live.push({ ...last, buckets: this.#rest });
    log.setLevel(level);
    const metrics = { ...this.#metrics, text: () => this.#podMetrics() };
    // Readiness is the parent's to judge; this one says nothing to anybody.
    const readiness = createReadiness({ clock, confirmed: () => true, confirmSeconds: 0 });
    const config = { ...this.#config, http: { ...this.#config.http, port } };
    const live = this.#live;
    const parts = { config, log, live, metrics, readiness, jwks: keySets({ live, log, metrics }) };
    try {
      const app = await startApp(parts, { reusePort: true });
      this.#serving = { app, drain: drainOf(parts, app.node), shed: shedOf(parts, app.node), readiness };
      observe(parts, app, () => 0);
      log.info("process.started", { port: app.port, node: config.node });
      line.send({ kind: "listening" });
    } catch (error) {
      log.error("process.start_failed", { error });
      this.#ended.resolve(1);
    }
  }

  #push(id: number, push: Push): void {
    const outcome = this.#live.push(push);
    this.#deps.line.send({ kind: "pushed", id, outcome: outcome.kind, digest: this.#live.digest() });
  }

  async #report(id: number): Promise<void> {
    const serving = this.#serving;
    const report = {
      sessions: serving?.app.node.sessions.count() ?? 0,
      purged: serving?.app.purged() ?? [],
      load: serving && loadOf({ live: this.#live, readiness: serving.readiness }, serving.app.node, this.#machine),
      metrics: await this.#metrics.report(),
    };
    this.#deps.line.send({ kind: "report", id, report });
  }

  /** What the parent adds up, where diagnostics are public. */
  #podMetrics(): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const id = ++this.#lastId;
    this.#asked.set(id, resolve);
    this.#deps.line.send({ kind: "metrics", id });
    return promise;
  }

  #drain(): void {
    this.#draining ??= this.#leave();
  }

  async #leave(): Promise<void> {
    const { log } = this.#deps;
    try {
      this.#serving?.shed.start(0, 1);
      await this.#serving?.drain.run();
      await this.#serving?.app.stop();
      this.#ended.resolve(0);
    } catch (error) {
      log.error("process.stop_failed", { error });
      this.#ended.resolve(1);
    }
  }

  /** Nobody restarts or configures this process any more: everybody is told to come back elsewhere, at once. */
  async #orphaned(): Promise<void> {
    const { log } = this.#deps;
    log.error("process.orphaned");
    const timer = setTimeout(() => this.#ended.resolve(1), ORPHAN_MS);
    try {
      const { node } = this.#serving?.app ?? {};
      node?.refuseSessions();
      const { reconnectJitterSeconds } = this.#live.cluster().delivery;
      node?.sessions.shutdown(node.sessions.count(), () => reconnectAfterSeconds(reconnectJitterSeconds, Math.random()));
      await this.#serving?.app.stop();
    } catch (error) {
      log.error("process.stop_failed", { error });
    }
    clearTimeout(timer);
    this.#ended.resolve(1);
  }
}
