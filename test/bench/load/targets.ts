// Why: Nexus and the floor under the same load: the server on one core, the generator on the other, and the same few words
// for both. It must never give one of them less to do without saying so.
import { createHmac } from "node:crypto";
import { cpuSeconds, start } from "../process.ts";
import { type Listeners, type ListenersOptions, openListeners } from "./listeners.ts";
import { type RequestsOptions, runRequests } from "./requests.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const TASKSET = Bun.which("taskset");
/** The server's core; the generator takes the other one. */
const SERVER_CORE = "0";
const GENERATOR_CORE = "1";

export type Target = AsyncDisposable & {
  readonly name: string;
  readonly url: string;
  /** Where a Nexus is scraped. */
  readonly opsUrl?: string;
  readonly pid: number;
  /** What tokens are signed with, and what publishes; empty where there are none. */
  readonly secret: string;
  readonly key: string;
  /** Listeners of a user each, counted from `firstUser` (0), with the channels it wants. */
  listen(
    count: number,
    channelsOf: (index: number) => readonly string[],
    how?: Partial<ListenersOptions> & { readonly transport?: "sse"; readonly query?: string; readonly firstUser?: number },
  ): Promise<Listeners>;
  /** What a publisher asks: `to` is a channel or a user. */
  publishes(toOf: (count: number) => PublishTo, payload: () => string, connections?: number): RequestsOptions;
};
export type PublishTo = { readonly channel: string } | { readonly user: string };

export type TargetKind = "floor" | "floor gathered 2 ms" | "nexus";

/** Pins this process to the generator's core, where that is possible. */
export function pinGenerator(): void {
  if (TASKSET) Bun.spawnSync([TASKSET, "-a", "-p", "-c", GENERATOR_CORE, String(process.pid)], { stdout: "ignore" });
  else console.log("taskset is not installed: server and generator share both cores, figures move more");
}

export const pinned = (command: readonly string[]): string[] => (TASKSET ? [TASKSET, "-c", SERVER_CORE, ...command] : [...command]);

export function startTarget(kind: TargetKind, flags: readonly string[] = []): Promise<Target> {
  return kind === "nexus" ? nexus(flags) : floor(kind, flags);
}

async function floor(kind: Exclude<TargetKind, "nexus">, flags: readonly string[]): Promise<Target> {
  const gather = kind === "floor" ? [] : ["--gather"];
  const started = await start<{ url: string }>(pinned([process.execPath, `${ROOT}test/bench/floor/fan-out.ts`, ...gather, ...flags]));
  const { url } = started.ready;
  return {
    name: kind,
    url,
    pid: started.pid,
    secret: "",
    key: "",
    listen: (count, channelsOf, { transport, query: _query, firstUser = 0, ...how } = {}) =>
      openListeners({
        url,
        count,
        pathOf: (index) =>
          transport === "sse"
            ? `/sse?user=user-${firstUser + index}`
            : `/ws?user=user-${firstUser + index}&channels=${channelsOf(index).join(",")}`,
        greet: () => "hello",
        ...how,
      }),
    publishes: (toOf, payload, connections = 8) => ({
      url,
      path: "/publish",
      connections,
      // The floor finds its target in the text itself, and sends what Nexus would: the same bytes to every listener.
      bodyOf(count) {
        const to = toOf(count);
        return `${"channel" in to ? to.channel : to.user} ${"x".repeat(200)}${payload()}`;
      },
    }),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

async function nexus(flags: readonly string[]): Promise<Target> {
  const started = await start<Credentials>(pinned([process.execPath, `${ROOT}test/bench/programs/nexus.ts`, ...flags]));
  return nexusAt(started.ready, started);
}

/** `secret` signs tokens, `key` publishes; both of tenant `default`. */
export type Credentials = { readonly url: string; readonly opsUrl?: string; readonly secret: string; readonly key: string };

/** A Nexus that runs already, in the words of a target. Disposing it disposes `program`. */
export function nexusAt({ url, opsUrl, secret, key }: Credentials, program: AsyncDisposable & { readonly pid: number }): Target {
  const subscribe = (channels: readonly string[]) => JSON.stringify({ type: "Subscribe", payload: { channels } });
  return {
    name: "nexus",
    url,
    ...(opsUrl === undefined ? {} : { opsUrl }),
    pid: program.pid,
    secret,
    key,
    listen: (count, channelsOf, { transport, query = "", firstUser = 0, ...how } = {}) =>
      openListeners({
        url,
        count,
        pathOf(index) {
          const token = tokenFor(secret, `user-${firstUser + index}`);
          return (transport === "sse" ? `/sse?token=${token}&channels=${channelsOf(index).join(",")}` : `/ws?token=${token}`) + query;
        },
        greet: (index) => (channelsOf(index).length === 0 ? '{"type":"Ping"}' : subscribe(channelsOf(index))),
        ...how,
      }),
    publishes: (toOf, payload, connections = 8) => ({
      url,
      path: "channel" in toOf(0) ? "/api/v1/notifications/channel" : "/api/v1/notifications/send",
      headers: { "X-API-Key": key },
      connections,
      bodyOf(count) {
        const to = toOf(count);
        const target = "channel" in to ? { channel: to.channel } : { target_user_id: to.user };
        return JSON.stringify({ ...target, event_type: "bench", payload: payload() });
      },
    }),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Of a user of tenant `default`, or of another one. */
export function tokenFor(secret: string, user: string, tenant?: string): string {
  const claims = { sub: user, exp: 4_000_000_000, ...(tenant === undefined ? {} : { tenant_id: tenant }) };
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

export type Delivered = {
  readonly publishes: number;
  readonly deliveries: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly lost: number;
};

/** Publishes for `seconds` and counts what arrives, until nothing more does. */
export async function deliver(
  target: Target,
  listeners: Listeners,
  load: { requests: RequestsOptions; seconds: number; perSecond?: number },
): Promise<Delivered> {
  const before = listeners.received();
  const cpuBefore = cpuSeconds(target.pid);
  const { answered, refused, seconds } = await runRequests(load.requests, load.seconds, load.perSecond);
  let last = -1;
  while (listeners.received() !== last) {
    last = listeners.received();
    await Bun.sleep(100);
  }
  if (refused > 0) console.log(`${target.name}: ${refused} requests were refused`);
  return {
    publishes: answered,
    deliveries: last - before,
    seconds,
    cpuSeconds: cpuSeconds(target.pid) - cpuBefore,
    lost: listeners.lost(),
  };
}

/** Microseconds of server CPU per delivery. */
export const cpuPerDelivery = ({ cpuSeconds: cpu, deliveries }: Delivered): number => (cpu / deliveries) * 1e6;

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
