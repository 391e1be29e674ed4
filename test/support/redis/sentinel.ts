// Why: a primary with two replicas that three Sentinels watch, as small as it can be and still fail over by itself.
// It must never leave one of the six processes behind.
import { eventually } from "../eventually.ts";
import { type RedisPlace, redisCommand, redisInfo } from "./admin.ts";
import { type RedisServer, startRedis } from "./server.ts";

export type SentinelRedis = AsyncDisposable & {
  readonly masterName: string;
  /** Of the Sentinels, `host:port`. */
  readonly addresses: readonly string[];
  /** Who the Sentinels say is primary now. */
  primary(): Promise<RedisPlace>;
  /** Ends the primary as a crash would; resolves at once, with the place that died. */
  killPrimary(): Promise<RedisPlace>;
  /** Resolves once the Sentinels agree on another primary than `dead` and it takes writes. */
  failedOver(dead: RedisPlace): Promise<RedisPlace>;
  /** Stops the replicas' processes, connections and all, until `resume`. */
  pauseReplicas(): Promise<{ resume(): void }>;
  /** Starts a server that was killed; it comes back as a replica. */
  restart(place: RedisPlace): Promise<void>;
};

/** `downAfterMs`: how long a silent primary is waited for. `settings`: more lines for every redis.conf. */
export type SentinelOptions = { readonly downAfterMs?: number; readonly settings?: readonly string[] };

const MASTER = "nexus-test";

export async function startSentinelRedis({ downAfterMs = 1000, settings = [] }: SentinelOptions = {}): Promise<SentinelRedis> {
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await startRedis({ settings }));
  const follow = ["repl-diskless-sync-delay 0", `replicaof 127.0.0.1 ${first.port}`];
  const replicas = await Promise.all([1, 2].map(async () => stack.use(await startRedis({ settings: [...settings, ...follow] }))));
  const servers = [first, ...replicas];
  await eventually("both replicas follow", async () => (await redisInfo(first, "replication", "connected_slaves")) === "2");
  const sentinels = await Promise.all([1, 2, 3].map(async () => stack.use(await startSentinel(first, downAfterMs))));
  await eventually("the Sentinels know each other and the replicas", async () => {
    const known = await Promise.all(sentinels.map((sentinel) => redisInfo(sentinel, "sentinel", "master0")));
    return known.every((line) => line.includes("status=ok,") && line.includes("slaves=2,sentinels=3"));
  });
  const owned = stack.move();

  const agreed = async (): Promise<RedisPlace> => {
    const named = await Promise.all(sentinels.map((sentinel) => redisCommand(sentinel, ["SENTINEL", "get-master-addr-by-name", MASTER])));
    const ports = named.map((place) => (Array.isArray(place) ? Number(place[1]) : 0));
    const [port = 0] = ports;
    if (!ports.every((other) => other === port)) throw new Error(`the Sentinels name ${ports.join(", ")}`);
    return { host: "127.0.0.1", port };
  };
  const at = ({ port }: RedisPlace): RedisServer => {
    const server = servers.find((one) => one.port === port);
    if (!server) throw new Error(`no server at ${port}`);
    return server;
  };
  return {
    masterName: MASTER,
    addresses: sentinels.map(({ address }) => address),
    primary: agreed,
    async killPrimary() {
      const place = await agreed();
      await at(place).kill();
      return place;
    },
    failedOver: (dead) =>
      eventually(
        "another primary takes writes",
        async () => {
          const place = await agreed();
          if (place.port === dead.port) return undefined;
          return (await redisInfo(place, "replication", "role")) === "master" && place;
        },
        { timeoutMs: 20_000 },
      ),
    async pauseReplicas() {
      const { port } = await agreed();
      const others = servers.filter((server) => server.port !== port).map(({ pid }) => pid);
      for (const pid of others) process.kill(pid, "SIGSTOP");
      return {
        resume() {
          for (const pid of others) process.kill(pid, "SIGCONT");
        },
      };
    },
    restart: (place) => at(place).restart(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Sentinels write what they learn into their own file, so each has a folder of its own. */
function startSentinel(primary: RedisPlace, downAfterMs: number): Promise<RedisServer> {
  const settings = [
    `sentinel monitor ${MASTER} ${primary.host} ${primary.port} 2`,
    `sentinel down-after-milliseconds ${MASTER} ${downAfterMs}`,
    `sentinel failover-timeout ${MASTER} 5000`,
    `sentinel parallel-syncs ${MASTER} 2`,
  ];
  return startRedis({ settings, flags: ["--sentinel"] });
}
