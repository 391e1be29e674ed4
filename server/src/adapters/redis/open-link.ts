// Why: connections to Redis as the configuration names them, guarded: whoever calls is told at once when nobody answers.
// It must never keep a command for a Redis that is away, and never send one twice.

import type { ServerConfig } from "@nexus/protocol/config.ts";
import { Failure } from "@nexus/protocol/failures.ts";
import { Cluster, type Redis } from "ioredis";
import type { Clock, Log } from "../../core/ports.ts";
import { systemClock } from "../clock.ts";
import { type Breaker, createBreaker } from "./breaker.ts";
import { type ClientOptions, connected, createOwn } from "./connect-client.ts";
import { createDeadlines } from "./connect-deadlines.ts";
import { failureOf, faultOf } from "./connect-faults.ts";
import { firstClient } from "./connect-first.ts";
import { findPrimaries } from "./connect-primaries.ts";
import { watchClient } from "./connect-watch.ts";
import { type CredentialSettings, type Credentials, createCredentials } from "./credentials.ts";
import type { LinkCalls, Primary, RedisLink, Reply } from "./link.ts";
import { healthOf } from "./link-health.ts";
import { scriptRunner } from "./scripts.ts";
import { SLOTS, slotOfKey } from "./topology.ts";

/**
 * `addresses` and the rest as `NEXUS_REDIS_*` has them. `credentials`: in place of files. `clock`, `random`: for tests.
 * `signal`: gives up waiting at the start. `onWaiting`: told of each reason for waiting there; it holds no secret.
 */
export type LinkOptions = CredentialSettings &
  Partial<Pick<ServerConfig["redis"], "topology" | "masterName" | "database">> & {
    readonly addresses: readonly string[];
    readonly commandTimeoutMs: number;
    readonly log: Log;
    readonly clock?: Clock;
    readonly random?: () => number;
    readonly signal?: AbortSignal;
    readonly credentials?: Credentials;
    readonly onWaiting?: (reason: string) => void;
    /** Told how long each call took that was sent, in milliseconds, however it ended. */
    readonly timed?: ((milliseconds: number) => void) | undefined;
  };

/**
 * Resolves once Redis answers; waits, saying so in the log, for what may heal by itself.
 * @throws Error, fit to be shown, for what cannot: wrong credentials, certificate, kind of Redis, version or settings
 */
export async function openLink(options: LinkOptions): Promise<RedisLink> {
  const { clock = systemClock, random = Math.random, log, addresses, commandTimeoutMs } = options;
  const { topology = "standalone", masterName = "mymaster", database = 0 } = options;
  const counts = { attempts: 0, reconnections: 0 };
  const onAttempt = () => {
    counts.attempts += 1;
  };
  const { credentials = createCredentials(options, log) } = options;
  const settings = { topology, addresses, masterName, database, commandTimeoutMs, credentials, log, random, onAttempt };
  const client = await firstClient(settings, options);
  counts.attempts = 0; // those of the start are no reconnections
  return linkOver(client, { settings, clock, counts, timed: options.timed });
}

type LinkState = Pick<LinkOptions, "timed"> & {
  readonly settings: ClientOptions;
  readonly clock: Clock;
  readonly counts: { attempts: number; reconnections: number };
};

function linkOver(client: Redis | Cluster, { settings, clock, counts, timed }: LinkState): RedisLink {
  const { log, random, commandTimeoutMs } = settings;
  const breakers = createBreakers(client, { clock, random });
  const deadlines = createDeadlines(commandTimeoutMs, clock);
  const runScript = scriptRunner(client);
  const calls = { ok: 0, refused: 0, failed: 0, timeout: 0, rejected: 0, bug: 0 };
  let sent = 0;
  let isClosed = false;
  watchClient(client, {
    ...{ log, clock, random, onNodeAttempt: settings.onAttempt, isClosed: () => isClosed },
    onBack(node) {
      counts.reconnections += 1;
      breakers.reset(node);
    },
  });

  const send = (key: string | undefined, work: () => Promise<unknown>): Promise<Reply> => {
    const breaker = breakers.of(key);
    const ticket = breaker.admit();
    if (ticket === undefined) {
      calls.rejected += 1;
      return Promise.reject(new Failure({ code: "broker_unavailable", detail: "Redis does not answer; it is asked again soon" }));
    }
    sent += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const ended = () => timed?.(clock.monotonic() - (waiting.dueAt - commandTimeoutMs));
    const lose = (error: unknown) => {
      ended();
      const kind = faultOf(error);
      calls[kind === "unreachable" ? "failed" : kind] += 1;
      if (kind === "timeout" || kind === "unreachable") breaker.failed(ticket);
      else breaker.succeeded(); // an answer is an answer: waiting and connections are what the breaker guards
      reject(kind === "bug" || !(error instanceof Error) ? error : failureOf(kind, error));
    };
    const waiting = deadlines.start(lose);
    work().then(
      (value) => {
        if (waiting.settled) return;
        waiting.settled = true;
        calls.ok += 1;
        ended();
        breaker.succeeded();
        resolve(value as Reply); // what RESP without maps, doubles and booleans can say
      },
      (error: unknown) => {
        if (waiting.settled) return;
        waiting.settled = true;
        lose(error);
      },
    );
    return promise;
  };
  const own = async (primary: Primary): Promise<Redis> => {
    const connection = createOwn(primary, { ...settings, name: "nexus-listener" });
    connection.on("error", (error: Error) => log.debug("redis.connection_failed", { error: error.message, node: primary.id }));
    try {
      return await deadlines.within(connected(connection));
    } catch (error) {
      connection.disconnect();
      throw error;
    }
  };
  return {
    run: (script, keys, args) => send(keys[0], () => runScript(script, keys, args)),
    call: (command, ...args) => send(args.find(isKey), async () => await client.call(command, ...args)),
    topology: () => settings.topology,
    primaries: () => told(findPrimaries(client, settings, deadlines.within)),
    dial: (primary) => told(own(primary)),
    health: () => healthOf(client.status === "ready", breakers.all(), counts),
    commands: () => sent,
    calls: (): LinkCalls => ({ ...calls }),
    async close() {
      isClosed = true;
      deadlines.close();
      client.disconnect();
    },
  };
}

const isKey = (arg: string | number): arg is string => typeof arg === "string" && slotOfKey(arg) !== undefined;

/** Rejects with what the engine's callers know. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const kind = faultOf(error);
    throw kind === "bug" || !(error instanceof Error) ? error : failureOf(kind, error);
  }
}

type Breakers = {
  of(key: string | undefined): Breaker;
  /** `node`: one of a Cluster; undefined: all. */
  reset(node: string | undefined): void;
  all(): Iterable<Breaker>;
};

/** One for each primary, so that one that is away takes nothing from the others. */
function createBreakers(client: Redis | Cluster, deps: { readonly clock: Clock; readonly random: () => number }): Breakers {
  const known = new Map<string, Breaker>();
  // The node may have been replaced while it was silent: who serves its slots is asked anew.
  const onOpen = () => {
    if (client instanceof Cluster) client.refreshSlotsCache();
  };
  const at = (node: string): Breaker => {
    let breaker = known.get(node);
    if (!breaker) {
      breaker = createBreaker({ ...deps, onOpen });
      known.set(node, breaker);
    }
    return breaker;
  };
  const only = at("");
  return {
    of(key) {
      if (!(client instanceof Cluster) || key === undefined) return only;
      const slot = slotOfKey(key);
      const owner = slot === undefined ? undefined : client.slots[slot]?.[0];
      return owner === undefined ? only : at(owner);
    },
    reset(node) {
      for (const [name, breaker] of known) if (node === undefined || name === node) breaker.reset();
    },
    *all() {
      const served = client instanceof Cluster ? new Set(SLOTS.map((slot) => client.slots[slot]?.[0])) : undefined;
      for (const [name, breaker] of known) {
        if (name === "" || served?.has(name)) yield breaker;
        else known.delete(name); // serves nothing any more
      }
    },
  };
}
