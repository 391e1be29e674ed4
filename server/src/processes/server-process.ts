// Why: one child as its parent sees it: a program that is told things in order, answers some of them, and ends one day.
// It must never keep a caller waiting for a process that ended or hangs.
import type { Push, PushOutcome } from "../core/live-config.ts";
import type { FromProcess, ProcessReport, ToProcess } from "./messages.ts";

export type SpawnOptions = {
  /** The same program again, with the same arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It waits for its configuration. */
  readonly onUp: (process: ServerProcess) => void;
  /** It asks what the whole pod shows to scrapers. */
  readonly metricsText: () => Promise<string>;
};

type Told = { readonly outcome: PushOutcome["kind"]; readonly digest: string };

export class ServerProcess {
  readonly pid: number;
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  /** Resolves with whether it listens: false when it ended before. */
  readonly listening: Promise<boolean>;
  /** Monotonic milliseconds of its last answer to anything. */
  answeredAt = 0;
  /** What it last said of itself. */
  lastReport: ProcessReport | undefined;
  readonly #child: Bun.Subprocess;
  readonly #listening = Promise.withResolvers<boolean>();
  readonly #asked = new Map<number, (answer: FromProcess | undefined) => void>();
  #lastId = 0;

  constructor({ command, env, onUp, metricsText }: SpawnOptions) {
    const exited = Promise.withResolvers<number | string>();
    this.exited = exited.promise;
    this.listening = this.#listening.promise;
    this.#child = Bun.spawn([...command], {
      env: { ...env },
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      serialization: "advanced", // JSON has no NaN, and metrics have
      // Only our own program has the other end.
      ipc: (message) => this.#take(message as FromProcess, onUp, metricsText),
      onExit: (_child, code, signal) => {
        this.#listening.resolve(false);
        for (const answer of this.#asked.values()) answer(undefined);
        this.#asked.clear();
        exited.resolve(code ?? String(signal ?? "unknown"));
      },
    });
    this.pid = this.#child.pid;
  }

  /** Nothing happens when it is gone. */
  send(message: ToProcess): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.send(message);
  }

  /** What it made of the push; undefined when it ended or took longer than `withinMs`. */
  async push(push: Push, withinMs: number): Promise<Told | undefined> {
    const answer = await this.#ask((id) => ({ kind: "push", id, push }), withinMs);
    return answer?.kind === "pushed" ? answer : undefined;
  }

  /** As fresh as it can be had within that time; what it said before otherwise, undefined when it never did. */
  async report(withinMs: number): Promise<ProcessReport | undefined> {
    const answer = await this.#ask((id) => ({ kind: "report", id }), withinMs);
    if (answer?.kind === "report") this.lastReport = answer.report;
    return this.lastReport;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #ask(message: (id: number) => ToProcess, withinMs: number): Promise<FromProcess | undefined> {
    const { promise, resolve } = Promise.withResolvers<FromProcess | undefined>();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve(undefined);
    const id = ++this.#lastId;
    const timer = setTimeout(() => answer(undefined), withinMs);
    const answer = (given: FromProcess | undefined) => {
      clearTimeout(timer);
      this.#asked.delete(id);
      resolve(given);
    };
    this.#asked.set(id, answer);
    this.send(message(id));
    return promise;
  }

  #take(message: FromProcess, onUp: SpawnOptions["onUp"], metricsText: SpawnOptions["metricsText"]): void {
    this.answeredAt = performance.now();
    switch (message.kind) {
      case "up":
        onUp(this);
        return;
      case "listening":
        this.#listening.resolve(true);
        return;
      case "pushed":
      case "report":
        this.#asked.get(message.id)?.(message);
        return;
      case "metrics": {
        const { id } = message;
        void metricsText().then((text) => this.send({ kind: "metrics", id, text }));
        return;
      }
      default:
        message satisfies never;
    }
  }
}
