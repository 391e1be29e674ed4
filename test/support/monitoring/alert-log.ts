// Why: which alerts fired, when, and when they were over, as Prometheus said it once a second. What fires for two seconds while
// nobody asks is still in it. It must never judge.
import { eventually } from "../eventually.ts";
import type { Prometheus } from "./prometheus.ts";

/** One alert with one set of labels. Times in milliseconds of `performance.now()`. */
export type Fired = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
  readonly firedAt: number;
  /** Undefined while it fires. */
  goneAt: number | undefined;
};

export type AlertLog = AsyncDisposable & {
  /** In the order they fired; one that came again is there twice. */
  readonly fired: readonly Fired[];
  /** The first alert that fits, now or later. @throws Error after `timeoutMs`, with what fired instead */
  firing(what: (one: Fired) => boolean, timeoutMs: number): Promise<Fired>;
  /** Waits until it is over. @throws Error after `timeoutMs` */
  gone(one: Fired, timeoutMs: number): Promise<number>;
};

const LOOK_MS = 1_000;

export function watchAlerts(prometheus: Pick<Prometheus, "alerts">): AlertLog {
  const fired: Fired[] = [];
  const active = new Map<string, Fired>();
  const stop = new AbortController();
  let failure: unknown;
  const look = async () => {
    const at = performance.now();
    const now = (await prometheus.alerts()).filter(({ state }) => state === "firing");
    const keys = new Set(now.map(({ labels }) => keyOf(labels)));
    for (const [key, one] of active) {
      if (keys.has(key)) continue;
      one.goneAt = at;
      active.delete(key);
    }
    for (const { labels, annotations } of now) {
      const key = keyOf(labels);
      if (active.has(key)) continue;
      const one: Fired = {
        name: labels.alertname ?? "",
        labels,
        description: annotations.description ?? "",
        firedAt: at,
        goneAt: undefined,
      };
      active.set(key, one);
      fired.push(one);
    }
  };
  const looking = (async () => {
    while (!stop.signal.aborted) {
      await look().catch((error: unknown) => {
        failure = error; // told by whoever waits
      });
      await Bun.sleep(LOOK_MS);
    }
  })();
  const names = () =>
    fired.map(({ name, labels }) => `${name} ${labels.namespace ?? labels.nexus_namespace ?? labels.job ?? ""}`).join(", ");
  return {
    fired,
    firing: (what, timeoutMs) =>
      eventually(
        "the alert fires",
        () => {
          const found = fired.find(what);
          if (found) return found;
          throw failure ?? new Error(`so far fired: ${names() || "none"}`);
        },
        { timeoutMs, intervalMs: 250 },
      ),
    gone: (one, timeoutMs) => eventually(`${one.name} is over`, () => one.goneAt, { timeoutMs, intervalMs: 250 }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
    },
  };
}

const keyOf = (labels: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(labels).sort());
