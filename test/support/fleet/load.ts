// Why: backends that publish all the time, to users, channels of both kinds and everybody, through every node in turn. What
// was answered with 200 is written down. It must never repeat a publish: an answer that did not come is no answer.
import { type Crowd, keptGroup, liveGroup, PULSE } from "./crowd.ts";
import { inboxOf, type Ledger } from "./ledger.ts";
import type { Place, Target } from "./target.ts";

export type Load = { /** Ends it; resolves once every publish has its answer. */ stop(): Promise<void> };

/** Publishes a second, beside the pulse. */
export type Rates = { readonly users: number; readonly kept: number; readonly live: number; readonly broadcast: number };

export const MIXED: Rates = { users: 20, kept: 5, live: 5, broadcast: 0.5 };
/** Publishes of the pulse a second. */
const PULSES = 2;
const ANSWER_TIMEOUT_MS = 20_000;
const TICK_MS = 20;

/** `node`: through which; the next one that serves, without it. */
type Publish = { readonly stream: string; readonly path: string; readonly body: object; readonly node?: Place | undefined };

export function startLoad(
  fleet: Target,
  crowd: Crowd,
  { ledger, rates = MIXED }: { readonly ledger: Ledger; readonly rates?: Rates },
): Load {
  const began = performance.now();
  const open = new Set<Promise<void>>();
  const made = new Map<string, number>();
  const { people, groups } = crowd;
  const kinds: readonly (readonly [string, number, (n: number) => Publish])[] = [
    // Through the node that no fault hits alone: what people hear is then about their own node.
    ["pulse", PULSES, () => ({ ...toChannel(PULSE), node: fleet.nodes.at(-1) })],
    ["users", rates.users, (n) => toUser(people[(n * 7919) % people.length]?.user ?? "")], // a prime: everybody gets their turn
    ["kept", rates.kept, (n) => toChannel(keptGroup(n % groups))],
    ["live", rates.live, (n) => toChannel(liveGroup(n % groups))],
    ["broadcast", rates.broadcast, () => ({ stream: "broadcast", path: "broadcast", body: {} })],
  ];
  const timer = setInterval(() => {
    const seconds = (performance.now() - began) / 1000;
    for (const [kind, perSecond, make] of kinds) {
      const done = made.get(kind) ?? 0;
      const due = Math.floor(seconds * perSecond);
      made.set(kind, Math.max(due, done));
      for (let n = done; n < due; n++) {
        const answer = publish(fleet, make(n), { n, ledger }).finally(() => open.delete(answer));
        open.add(answer);
      }
    }
  }, TICK_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

export const toChannel = (channel: string): Publish => ({ stream: `channel:${channel}`, path: "channel", body: { channel } });
export const toUser = (user: string): Publish => ({ stream: inboxOf(user), path: "send", body: { target_user_id: user } });

/** One publish through the next node; never rejects. */
export async function publish(
  fleet: Target,
  { stream, path, body, node = fleet.next() }: Publish,
  { n, ledger }: { readonly n: number; readonly ledger: Ledger },
): Promise<void> {
  const askedAt = performance.now();
  try {
    const answer = await fetch(`${node.url}/api/v1/notifications/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": fleet.boot.apiKey },
      body: JSON.stringify({ ...body, event_type: "load", payload: { n } }),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    if (answer.status !== 200) {
      await answer.body?.cancel();
      return ledger.refuse(String(answer.status));
    }
    const { notification_id: id } = (await answer.json()) as { readonly notification_id: string }; // docs/reference names it
    ledger.accept(stream, { id, askedAt, answeredAt: performance.now() });
  } catch (error) {
    // The node died, or said nothing for so long.
    ledger.refuse(error instanceof Error && error.name === "TimeoutError" ? "no answer in time" : "connection lost");
  }
}
