// Why: whatever order calls, publishes and failures come in, nothing is missed in silence. The oracle knows what was
// published while somebody listened; each entry was heard, or a gap was told after it was published.
import { afterAll, expect, test } from "bun:test";
import type { Primary } from "@nexus/server/adapters/redis/link.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { type BusGround, busGround, inbox } from "./bus-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

const STREAMS = 4;
const STEPS = 60;

type Step =
  | { readonly do: "listen" | "leave" | "publish"; readonly at: number }
  | { readonly do: "cut" | "stall" | "kill" | "refuse" | "accept" | "settle" };

const at = fc.integer({ min: 0, max: STREAMS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("listen" as const), at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("leave" as const), at }) },
  { weight: 24, arbitrary: fc.record({ do: fc.constant("publish" as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("cut" as const, "kill" as const, "refuse" as const, "accept" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stall" as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
);

/** What one listener was told, in order; `due`: what it has to know of, and how long its log was when that was published. */
class Period {
  readonly log: (string | "gap")[] = [];
  readonly due: { readonly id: string; readonly from: number }[] = [];
  readonly offsets: number[] = [];
  /** Announcements flow: `listen` has resolved, and nobody has called `leave`. */
  isOn = false;

  readonly listener = {
    onEntry: ({ notification: { id }, position }: { notification: { id: string }; position?: { offset: number } }) => {
      this.log.push(id);
      this.offsets.push(position?.offset ?? 0);
    },
    onGap: () => void this.log.push("gap"),
  };

  /** Entries that were missed in silence. */
  missing(): string[] {
    return this.due.filter(({ id, from }) => !this.log.includes(id) && !this.log.slice(from).includes("gap")).map(({ id }) => id);
  }
}

let runs = 0;

async function run(ground: BusGround, proxy: Awaited<ReturnType<typeof startTcpProxy>>, steps: readonly Step[]): Promise<void> {
  const name = `run-${++runs}`;
  const stream = (number: number): StreamId => inbox(`${name}-${number}`);
  const left: Period[] = [];
  const current = new Map<number, Period>();
  const pending: Promise<unknown>[] = [];
  let count = 0;
  const listen = (number: number) => {
    const period = current.get(number) ?? new Period();
    current.set(number, period);
    pending.push(
      ground.bus.listen(stream(number), period.listener).then(
        () => {
          period.isOn = current.get(number) === period;
        },
        () => undefined, // refused: where announcements did not flow before, nobody counts on them
      ),
    );
  };
  const leave = (number: number) => {
    const period = current.get(number);
    if (period) {
      period.isOn = false;
      left.push(period);
    }
    current.delete(number);
    pending.push(ground.bus.leave(stream(number)));
  };
  const publish = async (number: number) => {
    const id = `${name}/${++count}`;
    const period = current.get(number);
    const due = period?.isOn ? { id, from: period.log.length } : undefined;
    await ground.say(stream(number), id);
    if (due && period?.isOn) period.due.push(due);
  };
  for (const one of steps) {
    if (one.do === "listen") listen(one.at);
    else if (one.do === "leave") leave(one.at);
    else if (one.do === "publish") await publish(one.at);
    else if (one.do === "kill") await redisCommand(redis, ["CLIENT", "KILL", "TYPE", "pubsub"]);
    else if (one.do === "settle") {
      proxy.accept();
      await Promise.all(pending);
    } else proxy[one.do]();
  }
  proxy.accept();
  await Promise.all(pending);
  for (const [number, { listener }] of current) {
    await eventually(`somebody listens to ${number}`, async () => {
      await ground.bus.listen(stream(number), listener); // again, if it was refused before
      return true;
    });
  }
  await Promise.all(
    [...current].map(([number, { log }]) =>
      eventually(
        `announcements of ${number} flow again`,
        async () => {
          const before = log.length;
          await ground.say(stream(number), `${name}/end`);
          await eventually("it is announced", () => log.slice(before).includes(`${name}/end`), { timeoutMs: 100, intervalMs: 2 });
          return true;
        },
        { timeoutMs: 20_000, intervalMs: 20 },
      ),
    ),
  );
  // Who has left may have gone before it could be told.
  for (const period of current.values()) expect(period.missing()).toEqual([]);
  for (const period of [...current.values(), ...left]) {
    expect(period.offsets).toEqual([...new Set(period.offsets)].sort((a, b) => a - b)); // in order, none twice
  }
  await Promise.all([...current.keys()].map((number) => ground.bus.leave(stream(number))));
}

test(
  "nothing is missed in silence, whatever happens in whatever order",
  async () => {
    await using proxy = await startTcpProxy(redis);
    const through = (primary: Primary): Primary => ({ ...primary, host: "127.0.0.1", port: proxy.port });
    await using ground = await busGround({
      ...{ addresses: [redis.address], probeMs: 100, listenTimeoutMs: 1000 },
      dial: (link) => (primary) => link.dial(through(primary)),
    });
    const steps = fc.array(step, { minLength: STEPS, maxLength: STEPS * 2 });
    await fc.assert(
      fc.asyncProperty(steps, (all) => run(ground, proxy, all)),
      { ...fuzzSettings(STEPS), endOnFailure: true },
    );
    expect(ground.bus.counts().interruptions).toBeGreaterThan(0);
    expect(ground.bus.counts().streams).toBe(0);
    console.log(`${runs} runs, ${JSON.stringify(ground.bus.counts())}`);
  },
  fuzzTimeoutMs(200),
);
