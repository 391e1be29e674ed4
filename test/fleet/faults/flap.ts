// Why: phones in trains: every link drops every few seconds, on a fleet, while entries flow. It must never drop links in step.
import { eventually } from "../../support/eventually.ts";
import { gather } from "../../support/fleet/crowd.ts";
import { startFleet } from "../../support/fleet/fleet.ts";
import { inboxOf, Ledger } from "../../support/fleet/ledger.ts";
import { type Rates, startLoad } from "../../support/fleet/load.ts";
import { judge, type Verdict } from "../../support/fleet/oracle.ts";
import type { Person } from "../../support/fleet/person.ts";
import { startRedis } from "../../support/redis/server.ts";

export type FlapOptions = { readonly people: number; readonly seconds: number };

/** `catchUpMs`: of entries that were published while a person's link was down, from the answer to the publisher to the person. */
export type Flapped = Verdict & {
  readonly people: number;
  readonly seconds: number;
  readonly accepted: number;
  readonly refusals: number;
  readonly drops: number;
  readonly missed: number;
  readonly catchUpMs: { readonly p50: number; readonly p99: number; readonly max: number };
};

/** 100 entries a second with the pulse; none on channels that keep nothing. */
const RATES: Rates = { users: 60, kept: 37, live: 0, broadcast: 1 };
const NODES = 3;
const DROP_EVERY_MS = { min: 2000, max: 5000 };

export async function flap({ people: count, seconds }: FlapOptions): Promise<Flapped> {
  await using redis = await startRedis();
  await using fleet = await startFleet({ nodes: NODES, redis: { address: redis.address } });
  const arrivals = new Map<Person, Map<string, number>>();
  await using crowd = await gather(fleet, count, {
    onEntry(person, { stream, id, at }) {
      const of = arrivals.get(person) ?? new Map<string, number>();
      arrivals.set(person, of.set(`${stream} ${id}`, at));
    },
  });
  const { people } = crowd;
  const ledger = new Ledger();
  const load = startLoad(fleet, crowd, { ledger, rates: RATES });
  const stopFlapping = startFlapping(people);
  await Bun.sleep(seconds * 1000);
  stopFlapping();
  await load.stop();
  const isWhole = () => people.every(({ isConnected }) => isConnected) && judge(ledger, people).holes === 0;
  await eventually("everybody is back and has everything", isWhole, { timeoutMs: 20_000, intervalMs: 250 });
  fleet.checkErrors();
  const catchUps = people.flatMap((person) => catchUpsOf(person, ledger, arrivals.get(person)));
  catchUps.sort((a, b) => a - b);
  const at = (share: number) => catchUps[Math.min(catchUps.length - 1, Math.floor(catchUps.length * share))] ?? Number.NaN;
  return {
    ...judge(ledger, people),
    ...{ people: count, seconds, accepted: ledger.accepted, refusals: ledger.refusals, missed: catchUps.length },
    drops: people.reduce((sum, { drops }) => sum + drops, 0),
    catchUpMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  };
}

/** Each link for itself. The answer ends it. */
function startFlapping(people: readonly Person[]): () => void {
  const timers = new Map<Person, ReturnType<typeof setTimeout>>();
  const plan = (person: Person) => {
    const wait = DROP_EVERY_MS.min + Math.random() * (DROP_EVERY_MS.max - DROP_EVERY_MS.min);
    const drop = () => {
      person.drop();
      plan(person);
    };
    timers.set(person, setTimeout(drop, wait));
  };
  for (const person of people) plan(person);
  return () => {
    for (const timer of timers.values()) clearTimeout(timer);
  };
}

/** How late this person got what was published while the link was down, in milliseconds. */
function catchUpsOf(person: Person, ledger: Ledger, arrivals: ReadonlyMap<string, number> | undefined): readonly number[] {
  return [...person.got.keys()].flatMap((stream) =>
    ledger.of(stream === "user" ? inboxOf(person.user) : stream).flatMap(({ id, answeredAt }) => {
      const arrivedAt = arrivals?.get(`${stream} ${id}`);
      const wasDown = person.outages.some(([from, to]) => answeredAt >= from && answeredAt <= to);
      return wasDown && arrivedAt !== undefined ? [arrivedAt - answeredAt] : [];
    }),
  );
}

/** For people. */
export const sentenceOf = ({ people, seconds, drops, accepted, owed, delivered, missed, catchUpMs }: Flapped): string =>
  `${people} people whose links dropped ${drops} times in ${seconds} s, ${accepted} entries: ${delivered} of ${owed} deliveries; ` +
  `${missed} of them were published while the link was down, and arrived after ${Math.round(catchUpMs.p50)} ms (p50), ` +
  `${Math.round(catchUpMs.p99)} ms (p99), ${Math.round(catchUpMs.max)} ms at the most`;
