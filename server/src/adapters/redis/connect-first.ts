// Why: a server starts before its Redis as often as after it. This waits for what heals by itself, says in the log what it
// waits for, and gives up at once on what does not. It must never leave a connection behind that nobody uses.

import { Failure } from "@nexus/protocol/failures.ts";
import { Cluster, type Redis } from "ioredis";
import { systemClock } from "../clock.ts";
import { check, contradictions } from "./connect-check.ts";
import { backOffMs, type ClientOptions, createClient } from "./connect-client.ts";
import { createDeadlines } from "./connect-deadlines.ts";

/** How many attempts pass between two lines of the same reason: about half a minute. */
const LINES_EVERY = 30;

/** How long one client may take; a Redis that loads its data is not ready, and asked again. */
const READY_MS = 10_000;

/** @throws Error naming settings, when waiting is of no use; Failure `broker_unavailable` when `signal` ends the wait */
export async function firstClient(
  options: ClientOptions,
  { signal, onWaiting }: { readonly signal?: AbortSignal; readonly onWaiting?: (reason: string) => void },
): Promise<Redis | Cluster> {
  const wrong = contradictions(options);
  if (wrong.length > 0) throw new Error(wrong.join("; "));
  let said = "";
  for (let attempt = 1; ; attempt++) {
    const found = await check(options);
    if (found.kind === "wrong") throw new Error(found.reason);
    const opened = found.kind === "ready" ? await open(options) : found.reason;
    if (typeof opened !== "string") return opened;
    if (opened !== said || attempt % LINES_EVERY === 0) options.log.warn("redis.waiting", { reason: opened, attempt });
    said = opened;
    onWaiting?.(opened);
    await pause(backOffMs(attempt, options.random), signal, opened);
  }
}

/** The client, connected; or why not. */
async function open(options: ClientOptions): Promise<Redis | Cluster | string> {
  const client = createClient(options);
  const deadlines = createDeadlines(READY_MS, systemClock);
  let cause: Error | undefined;
  const note = (error: Error) => {
    cause = error;
  };
  client.on("error", note);
  try {
    await deadlines.within(ready(client));
    if (client instanceof Cluster) await deadlines.within(Promise.all(client.nodes("master").map(decided)));
    return client;
  } catch (error) {
    client.disconnect();
    return String(cause ?? error);
  } finally {
    deadlines.close();
  }
  // `note` stays: without a listener the library prints errors by itself.
}

/** `connect` of a Cluster never settles when the Cluster says that it is down; the client goes on trying by itself. */
function ready(client: Redis | Cluster): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once("ready", () => resolve());
  client.connect().then(resolve, reject);
  return promise;
}

/** Resolves once it is known whether this node can be had; one that cannot keeps nobody waiting. */
function decided(node: Redis): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (node.status === "ready" || node.status === "end") resolve();
  for (const event of ["ready", "close", "end"] as const) node.once(event, () => resolve());
  return promise;
}

/** The back-off between two attempts to connect: nothing tells when a Redis is there. Cut short by the end of the process. */
function pause(ms: number, signal: AbortSignal | undefined, reason: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const end = () => reject(new Failure({ code: "broker_unavailable", detail: "Redis cannot be reached" }, new Error(reason)));
  const timer = setTimeout(resolve, ms);
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  });
}
