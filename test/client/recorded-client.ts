// Why: tests of the client look at everything it told, in order. One place makes such a client, and the frames a scripted
// server feeds it with.
import { NexusClient } from "@nexus/client/client.ts";
import type { ClientEvents } from "@nexus/client/events.ts";
import type { ClientOptions } from "@nexus/client/options.ts";

const QUICK = { backoff: { baseMs: 10, maxMs: 40 }, random: () => 0.5 } as const;

/** A quick client of user `ada` with a list of everything it told; disposing closes it. */
export function clientOf(url: string, options: Partial<ClientOptions> = {}) {
  const client = new NexusClient({ url, token: "first", ...QUICK, ...options });
  const events: { [K in keyof ClientEvents]: ClientEvents[K][] } = {
    state: [],
    connected: [],
    notification: [],
    gap: [],
    subscribed: [],
    unsubscribed: [],
    shutdown: [],
    error: [],
    frame: [],
  };
  for (const name of Object.keys(events) as (keyof ClientEvents)[]) client.on(name, (event) => void events[name].push(event as never));
  return { client, events, states: () => events.state.map(({ state }) => state), [Symbol.dispose]: () => client.close() };
}

/** A `notification` frame. */
export const note = (id: string, stream: string, offset?: number) => ({
  ...{ type: "notification", id, occurred_at: "2026-01-01T00:00:00Z", event_type: "t", payload: { id }, stream },
  metadata: { source: "http-api", priority: "Normal" },
  ...(offset === undefined ? {} : { offset }),
});
/** The `subscribed` frame for one name; `state` changes what the server says of its stream. */
export const subscribed = (id: string | undefined, name: string, state: object) => ({
  type: "subscribed",
  id,
  payload: [name],
  streams: [{ stream: `channel:${name}`, epoch: "e", offset: 0, outcome: "fresh", ...state }],
});

/** What `connected` and `subscribed` say of a stream; fresh in epoch `e` at 0 unless `change` says otherwise. */
export const stateOf = (stream: string, change: object = {}) => ({ stream, epoch: "e", offset: 0, outcome: "fresh", ...change });

/** An unsigned token: what it says is all the client looks at. `seconds`: how long it lives from now. */
export function jwtOf(user: string, seconds: number, more: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ sub: user, tenant_id: "acme", exp: Date.now() / 1000 + seconds, ...more })}.`;
}
