// Why: a Redis Cluster of three primaries with a replica each, that fails over in a second or two, and the dance by which
// operators move a slot under load. It must never leave one of the six processes behind.
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import { type RedisPlace, redisCommand, redisText } from "./admin.ts";
import { type RedisServer, startRedis } from "./server.ts";
import { slotOf } from "./slots.ts";

export type ClusterRedis = AsyncDisposable & {
  /** `host:port` of all six. */
  readonly addresses: readonly string[];
  /** Who serves this slot now, as the majority of the living says. */
  primaryOf(slot: number): Promise<RedisPlace>;
  primaries(): Promise<readonly RedisPlace[]>;
  /** Ends the primary of the slot as a crash would; resolves at once, with the place that died. */
  killPrimary(slot: number): Promise<RedisPlace>;
  /** Resolves once another one than `dead` serves the slot and every living node says the cluster is whole. */
  failedOver(slot: number, dead: RedisPlace): Promise<RedisPlace>;
  /** Moves the slot with all its keys to the next primary, key by key, as `redis-cli --cluster reshard` does. */
  migrateSlot(slot: number): Promise<{ readonly from: RedisPlace; readonly to: RedisPlace; readonly keys: number }>;
  restart(place: RedisPlace): Promise<void>;
};

export type ClusterOptions = { readonly nodeTimeoutMs?: number; readonly settings?: readonly string[] };

const SLOTS = 16_384;
const PRIMARIES = 3;
/** Keys moved by one MIGRATE. */
const KEYS_AT_ONCE = 100;

type Node = { readonly server: RedisServer; readonly busPort: number; readonly id: string };
/** One line of CLUSTER NODES that names a primary with slots. */
type Seen = { readonly id: string; readonly place: RedisPlace; readonly ranges: readonly (readonly [number, number])[] };

export async function startClusterRedis({ nodeTimeoutMs = 1500, settings = [] }: ClusterOptions = {}): Promise<ClusterRedis> {
  await using stack = new AsyncDisposableStack();
  const nodes = await Promise.all(Array.from({ length: PRIMARIES * 2 }, () => startNode(stack, nodeTimeoutMs, settings)));
  await join(nodes);
  const owned = stack.move();
  const dead = new Set<number>();

  const living = () => nodes.filter(({ server }) => !dead.has(server.port));
  const view = async (): Promise<readonly Seen[]> => {
    const [one] = living();
    if (!one) throw new Error("no node lives");
    return seen(await redisText(one.server, "CLUSTER", "NODES"));
  };
  const ownerOf = (slot: number, all: readonly Seen[]): Seen => {
    const owner = all.find(({ ranges }) => ranges.some(([from, to]) => slot >= from && slot <= to));
    if (!owner) throw new Error(`nobody serves slot ${slot}`);
    return owner;
  };
  const nodeAt = ({ port }: RedisPlace): Node => {
    const node = nodes.find(({ server }) => server.port === port);
    if (!node) throw new Error(`no node at ${port}`);
    return node;
  };
  const primaryOf = async (slot: number) => ownerOf(slot, await view()).place;
  return {
    addresses: nodes.map(({ server }) => server.address),
    primaryOf,
    primaries: async () => (await view()).map(({ place }) => place),
    async killPrimary(slot) {
      const place = await primaryOf(slot);
      dead.add(place.port);
      await nodeAt(place).server.kill();
      return place;
    },
    failedOver: (slot, gone) =>
      eventually(
        "the cluster is whole again",
        async () => {
          const place = await primaryOf(slot);
          if (place.port === gone.port) return undefined;
          const states = await Promise.all(living().map(({ server }) => redisText(server, "CLUSTER", "INFO")));
          return states.every(isWhole) && place;
        },
        { timeoutMs: 20_000 },
      ),
    async migrateSlot(slot) {
      const all = await view();
      const from = ownerOf(slot, all);
      const to = all[(all.indexOf(from) + 1) % all.length];
      if (!to || to === from) throw new Error("there is no other primary");
      const keys = await migrate(slot, from, to, all);
      return { from: from.place, to: to.place, keys };
    },
    async restart(place) {
      await nodeAt(place).server.restart();
      dead.delete(place.port);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The slot of a partition's tag. */
export const slotOfPartition = (partition: number): number => slotOf(`p${partition}`);

async function startNode(stack: AsyncDisposableStack, nodeTimeoutMs: number, settings: readonly string[]): Promise<Node> {
  const busPort = await freePort();
  const own = ["cluster-enabled yes", `cluster-port ${busPort}`, `cluster-node-timeout ${nodeTimeoutMs}`, "repl-diskless-sync-delay 0"];
  const server = stack.use(await startRedis({ settings: [...own, "cluster-replica-validity-factor 0", ...settings] }));
  return { server, busPort, id: await redisText(server, "CLUSTER", "MYID") };
}

async function join(nodes: readonly Node[]): Promise<void> {
  for (const [index, { server }] of nodes.entries()) {
    await redisCommand(server, ["CLUSTER", "SET-CONFIG-EPOCH", index + 1]);
    if (index >= PRIMARIES) continue;
    const [from, to] = [Math.round((SLOTS / PRIMARIES) * index), Math.round((SLOTS / PRIMARIES) * (index + 1)) - 1];
    await redisCommand(server, ["CLUSTER", "ADDSLOTSRANGE", from, to]);
  }
  // Everybody meets everybody: gossip alone takes seconds.
  for (const { server } of nodes) {
    for (const other of nodes) {
      if (other.server !== server) await redisCommand(server, ["CLUSTER", "MEET", other.server.host, other.server.port, other.busPort]);
    }
  }
  const everywhere = (what: string, holds: (info: string) => boolean) =>
    eventually(what, async () => (await Promise.all(nodes.map(({ server }) => redisText(server, "CLUSTER", "INFO")))).every(holds), {
      timeoutMs: 20_000,
    });
  await everywhere("all nodes know each other", (info) => info.includes(`cluster_known_nodes:${nodes.length}\r`));
  for (const [index, replica] of nodes.slice(PRIMARIES).entries()) {
    const primary = nodes[index];
    if (!primary) throw new Error("more replicas than primaries");
    await eventually("the replica is taken", () => redisCommand(replica.server, ["CLUSTER", "REPLICATE", primary.id]));
  }
  await everywhere("the cluster is whole", isWhole);
  await eventually("replicas follow", async () => {
    const roles = await Promise.all(nodes.slice(PRIMARIES).map(({ server }) => redisText(server, "INFO", "replication")));
    return roles.every((text) => text.includes("master_link_status:up"));
  });
}

const isWhole = (info: string): boolean => info.includes("cluster_state:ok") && info.includes(`cluster_size:${PRIMARIES}\r`);

/** Primaries that are not failed, with their slots: https://redis.io/docs/latest/commands/cluster-nodes/ */
function seen(text: string): readonly Seen[] {
  return text.split("\n").flatMap((line) => {
    const [id = "", address = "", flags = "", , , , , , ...slots] = line.trim().split(" ");
    if (!flags.includes("master") || flags.split(",").includes("fail") || slots.length === 0) return [];
    const ranges = slots.filter((slot) => !slot.startsWith("[")).map((slot) => slot.split("-").map(Number));
    const port = Number(/:(\d+)@/.exec(address)?.[1]);
    return [{ id, place: { host: "127.0.0.1", port }, ranges: ranges.map(([from = 0, to = from]) => [from, to] as const) }];
  });
}

/** In the order Redis asks for, so that no client ever finds the slot nowhere. How many keys moved. */
async function migrate(slot: number, from: Seen, to: Seen, all: readonly Seen[]): Promise<number> {
  await redisCommand(to.place, ["CLUSTER", "SETSLOT", slot, "IMPORTING", from.id]);
  await redisCommand(from.place, ["CLUSTER", "SETSLOT", slot, "MIGRATING", to.id]);
  let moved = 0;
  for (;;) {
    const keys = await redisCommand(from.place, ["CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE]);
    if (!Array.isArray(keys) || keys.length === 0) break;
    await redisCommand(from.place, ["MIGRATE", to.place.host, to.place.port, "", 0, 5000, "KEYS", ...keys.map(String)]);
    moved += keys.length;
  }
  for (const { place } of [to, from, ...all.filter((one) => one !== to && one !== from)]) {
    await redisCommand(place, ["CLUSTER", "SETSLOT", slot, "NODE", to.id]);
  }
  return moved;
}
