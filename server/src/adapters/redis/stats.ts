// Why: counters of the whole fleet, per tenant and over all. A node sums up what happens on it and adds the sums to Redis
// at most once a second, so that counting costs a publish no command.
// It must never fail a publish, nor grow with ids that strangers make up.
import type { Counters, Stats } from "../../core/record-ports.ts";
import { partitionOf, tenantPartition } from "./keys.ts";
import type { Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

const DAY_MS = 86_400_000;
const FLUSH_MS = 1_000;
/** A day's counters are kept until nobody's clock can call that day today. */
const DAY_KEY_SECONDS = 2 * 86_400;
/** Sums that wait while Redis is away; more tenants are counted in the sum over all only. */
const MAX_WAITING = 50_000;
/** Keys of one script call. */
const LOT = 200;
/** Names no tenant: the sum over all. */
const ALL = "*";
const FIELDS = ["sessions", "user", "channel", "broadcast", "delivered", "failed"] as const;
type Field = (typeof FIELDS)[number];

/** ARGV, for each key: seconds it lives (0: for ever), how many fields, then field and amount of each. */
const ADD: Script = {
  name: "nexusStatsAdd",
  lua: `
local at = 1
for _, key in ipairs(KEYS) do
  local seconds, fields = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, fields do
    redis.call('HINCRBY', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  if seconds > 0 then redis.call('EXPIRE', key, seconds) end
end
return 0`,
};

type Sum = Map<Field, number>;

export type RedisStats = Stats & {
  /** Adds what was counted here. What Redis did not take waits for the next time; an answer that was lost counts twice. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

/** `total` and `today` throw `Failure` `broker_unavailable`. */
export function createRedisStats({ link, keys, clock, log }: Pick<RedisParts, "link" | "keys" | "clock" | "log">): RedisStats {
  /** By tenant and day: `acme\n20444`. A tenant id holds no line break. */
  let waiting = new Map<string, Sum>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let flushing = Promise.resolve();
  let closed = false;
  const today = () => Math.floor(clock.now() / DAY_MS);

  function add(tenant: string, field: Field, amount: number): void {
    const day = today();
    for (const whose of [tenant, ALL]) increase(waiting, { name: `${whose}\n${day}`, field, amount });
    arm();
  }

  function arm(): void {
    if (timer !== undefined || closed) return;
    timer = setTimeout(() => void flush().catch((error: unknown) => log.debug("stats.flush_failed", { error })), FLUSH_MS);
    timer.unref();
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    flushing = flushing.catch(() => undefined).then(send);
    return flushing;
  }

  async function send(): Promise<void> {
    const sums = waiting;
    waiting = new Map();
    const sent = await Promise.allSettled(lotsOf(sums).map((names) => sendLot(sums, names)));
    const failed = sent.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
  }

  async function sendLot(sums: ReadonlyMap<string, Sum>, names: readonly string[]): Promise<void> {
    const lot = names.map((name) => ({ name, sum: sums.get(name) ?? new Map<Field, number>() }));
    try {
      const places = lot.flatMap(({ name, sum }) =>
        [totalKey(tenantOf(name)), dayKey(tenantOf(name), dayOf(name))].map((key) => ({ key, sum })),
      );
      const args = places.flatMap(({ sum }, index) => [index % 2 === 0 ? 0 : DAY_KEY_SECONDS, sum.size, ...[...sum].flat()]);
      await link.run(
        ADD,
        places.map(({ key }) => key),
        args,
      );
    } catch (error) {
      for (const { name, sum } of lot) for (const [field, amount] of sum) increase(waiting, { name, field, amount });
      arm();
      throw error;
    }
  }

  const partition = (whose: string) => (whose === ALL ? partitionOf(ALL) : tenantPartition(whose));
  const totalKey = (whose: string) => keys.at(partition(whose), "n", whose);
  const dayKey = (whose: string, day: string | number) => keys.at(partition(whose), "n", `${whose}/${day}`);
  const lotsOf = (sums: ReadonlyMap<string, Sum>) =>
    [...Map.groupBy(sums.keys(), (name) => partition(tenantOf(name))).values()].flatMap((names) =>
      Array.from({ length: Math.ceil(names.length / LOT) }, (_, at) => names.slice(at * LOT, (at + 1) * LOT)),
    );

  async function read(key: string): Promise<Counters> {
    await flush();
    const reply = await link.call("HMGET", key, ...FIELDS);
    const [sessions = 0, user = 0, channel = 0, broadcast = 0, delivered = 0, failed = 0] = Array.isArray(reply) ? reply.map(Number) : [];
    return { sessions, sent: { user, channel, broadcast }, delivered, failed };
  }

  return {
    sessionOpened: (tenant) => add(tenant, "sessions", 1),
    published(tenant, kind, deliveredTo) {
      add(tenant, kind === "inbox" ? "user" : kind, 1);
      if (deliveredTo > 0) add(tenant, "delivered", deliveredTo);
    },
    failed: (tenant) => add(tenant, "failed", 1),
    total: (tenant = ALL) => read(totalKey(tenant)),
    today: (tenant = ALL) => read(dayKey(tenant, today())),
    flush,
    async close() {
      closed = true;
      await flush().catch((error: unknown) => log.warn("stats.lost", { tenants: waiting.size, error }));
    },
  };
}

function increase(sums: Map<string, Sum>, { name, field, amount }: { name: string; field: Field; amount: number }): void {
  let sum = sums.get(name);
  if (!sum) {
    if (sums.size >= MAX_WAITING && tenantOf(name) !== ALL) return;
    sum = new Map();
    sums.set(name, sum);
  }
  sum.set(field, (sum.get(field) ?? 0) + amount);
}

const tenantOf = (name: string): string => name.slice(0, name.indexOf("\n"));
const dayOf = (name: string): string => name.slice(name.indexOf("\n") + 1);
