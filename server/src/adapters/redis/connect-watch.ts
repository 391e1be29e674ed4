// Why: what happens to connections by themselves is counted, told once in the log, and clears the breakers when it is over.
// It must never touch a command.
import { type Cluster, Redis } from "ioredis";
import type { Clock, Log } from "../../core/ports.ts";
import { backOffMs } from "./connect-client.ts";
import { addressOf } from "./topology.ts";

export type WatchDeps = {
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
  /** A connection stands again; `node` is its address in a Cluster, undefined the whole client. */
  readonly onBack: (node: string | undefined) => void;
  /** A node of a Cluster is connected anew. */
  readonly onNodeAttempt: () => void;
  /** Whoever made the client closed it. */
  readonly isClosed: () => boolean;
  /** In [0, 1). */
  readonly random: () => number;
};

/** The client is connected when this is called. */
export function watchClient(client: Redis | Cluster, { log, clock, onBack, onNodeAttempt, isClosed, random }: WatchDeps): void {
  let lostAt: number | undefined;
  let lastError = "";
  client.on("error", (error: Error) => {
    if (error.message !== lastError) log.warn("redis.connection_failed", { error: error.message });
    lastError = error.message;
  });
  client.on("close", () => {
    if (isClosed()) return;
    if (lostAt === undefined) log.warn("redis.disconnected");
    lostAt ??= clock.monotonic();
  });
  client.on("ready", () => {
    if (lostAt !== undefined) log.info("redis.reconnected", { durationMs: Math.round(clock.monotonic() - lostAt) });
    lostAt = undefined;
    lastError = "";
    onBack(undefined);
  });
  // The library gives up for good when Sentinels tell of a failover while it asks them who is primary (ioredis 6.0.0:
  // the connector is disconnected, and `connect` ends the client instead of trying again).
  let endings = 0;
  client.on("end", () => {
    if (isClosed()) return;
    log.warn("redis.ended");
    const again = () => {
      // What it rejects with is emitted too: `error`, or `end` once more.
      if (!isClosed())
        client.connect().then(
          () => (endings = 0),
          () => undefined,
        );
    };
    setTimeout(again, backOffMs(++endings, random));
  });
  if (client instanceof Redis) return;
  const had = new Set<string>();
  const follow = (node: Redis) => {
    const address = addressOfNode(node);
    if (had.has(address)) onNodeAttempt();
    node.on("ready", () => {
      if (had.has(address)) onBack(address);
      had.add(address);
    });
    if (node.status === "ready") had.add(address);
  };
  for (const node of client.nodes()) follow(node);
  client.on("+node", follow);
  client.on("-node", (node: Redis) => log.debug("redis.node_left", { node: addressOfNode(node) }));
  client.on("node error", (error: Error, node: string) => log.debug("redis.connection_failed", { error: error.message, node }));
}

const addressOfNode = ({ options }: Redis): string => addressOf({ host: options.host ?? "", port: options.port ?? 0 });
