// Why: one place knows how the client library must be set up so that it neither queues, retries nor sends again by itself:
// whether a write was done is known to nobody but Redis. Redirections of a Cluster are followed, they say "not done".
// It must never log or keep a password.
import { Cluster, Redis } from "ioredis";
import type { Log } from "../../core/ports.ts";
import { codeOf } from "./connect-faults.ts";
import { gatherCommands } from "./connect-gather.ts";
import { type Credentials, useFresh } from "./credentials.ts";
import { type Place, placeOf, type Topology } from "./topology.ts";

export type ClientOptions = {
  readonly topology: Topology;
  readonly addresses: readonly string[];
  readonly masterName: string;
  readonly database: number;
  readonly commandTimeoutMs: number;
  readonly credentials: Credentials;
  readonly log: Log;
  readonly random: () => number;
  /** Before each attempt to connect again. */
  readonly onAttempt: () => void;
};

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 2000;
const TRY_AGAIN_MS = 50;

/** Full jitter over 50 ms, doubling up to 2 s; never at once. `attempt` counts from 1. */
export const backOffMs = (attempt: number, random: () => number): number =>
  Math.max(10, Math.round(random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10))));

/** Not connected yet. Reconnects by itself until `disconnect`. */
export function createClient(options: ClientOptions): Redis | Cluster {
  const client = options.topology === "cluster" ? createCluster(options) : createSingle(options);
  gatherCommands(client);
  return client;
}

/** A connection of its own to one server, not connected yet, that never reconnects. */
export function createOwn(place: Place, { database, credentials, commandTimeoutMs, name }: OwnOptions): Redis {
  const client = new Redis({
    ...common(commandTimeoutMs),
    ...{ ...place, db: database, connectionName: name, retryStrategy: () => null, autoResubscribe: false },
  });
  useFresh(client, credentials);
  return client;
}

export type OwnOptions = Pick<ClientOptions, "database" | "credentials" | "commandTimeoutMs"> & { readonly name: string };

/** Connects. Rejects with the cause, which the library tells by event only. */
export async function connected(client: Redis): Promise<Redis> {
  let cause: Error | undefined;
  const note = (error: Error) => {
    cause ??= error;
  };
  client.on("error", note);
  try {
    await client.connect();
    if (cause) throw cause; // SELECT was refused, and the library goes on with another database
    return client;
  } catch (error) {
    client.disconnect();
    throw cause ?? error;
  } finally {
    client.off("error", note);
  }
}

function createSingle(options: ClientOptions): Redis {
  const { addresses, topology, credentials, commandTimeoutMs, database, random, onAttempt } = options;
  const again = (attempt: number) => {
    onAttempt();
    return backOffMs(attempt, random);
  };
  const where =
    topology === "sentinel"
      ? {
          ...{ sentinels: addresses.map(placeOf), name: options.masterName, sentinelRetryStrategy: again, failoverDetector: true },
          ...{ sentinelMaxConnections: 3, sentinelReconnectStrategy: (attempt: number) => backOffMs(attempt + 4, random) },
          ...{ sentinelCommandTimeout: commandTimeoutMs, enableTLSForSentinelMode: credentials.tls() !== undefined },
        }
      : placeOf(addresses[0] ?? "");
  const client = new Redis({ ...common(commandTimeoutMs), ...silence(commandTimeoutMs), ...where, db: database, retryStrategy: again });
  useFresh(client, credentials);
  if (topology === "sentinel" && credentials.tls()) Object.defineProperty(client.options, "sentinelTLS", { get: credentials.tls });
  return client;
}

function createCluster({ addresses, credentials, commandTimeoutMs, random, onAttempt, log }: ClientOptions): Cluster {
  const client = new Cluster(addresses.map(placeOf), {
    ...{ lazyConnect: true, enableOfflineQueue: false, slotsRefreshInterval: 15_000, slotsRefreshTimeout: commandTimeoutMs },
    // 0: a command that was cut off is not sent again.
    ...{ retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 },
    // Refused while its slot moves: asked again for as long as the command has.
    ...{ retryDelayOnTryAgain: TRY_AGAIN_MS, maxRedirections: 16 + Math.ceil(commandTimeoutMs / TRY_AGAIN_MS) },
    clusterRetryStrategy: (attempt) => {
      onAttempt();
      return backOffMs(attempt, random);
    },
    redisOptions: { ...common(commandTimeoutMs), ...silence(commandTimeoutMs) },
  });
  // Primaries are connected before anybody needs them: commands for one that is still connecting are refused. Not before
  // the client is ready, which asks one of them for the state of the Cluster first, by the same rule.
  const connect = (node: Redis) => {
    if (node.status !== "wait" || node.options.readOnly) return;
    node.connect().catch((error: Error) => log.debug("redis.connection_failed", { error: error.message }));
  };
  client.on("+node", (node: Redis) => {
    useFresh(node, credentials);
    if (client.status === "ready") connect(node);
  });
  client.on("ready", () => client.nodes("master").forEach(connect));
  return client;
}

const common = (commandTimeoutMs: number) => ({
  ...{ lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false },
  ...{ connectTimeout: Math.max(1000, commandTimeoutMs), disconnectTimeout: 200, keepAlive: 10_000 },
  ...{ connectionName: "nexus", disableClientInfo: true }, // CLIENT SETINFO is an error before Redis 7.2
});

/**
 * Commands wait and nothing comes back: the other side may be gone without a word, so the connection is made anew. And a
 * primary that became a replica: who is primary now is asked again.
 */
const silence = (commandTimeoutMs: number) => ({
  socketTimeout: Math.round(commandTimeoutMs * 1.5),
  reconnectOnError: (error: Error) => codeOf(error) === "READONLY",
});
