// Why: one fault from beginning to end: a fleet, a crowd and a load before it, the fault, and the account after it.
// It must never end the account early: the load goes on until everybody hears again, and stops before it is judged.
import { eventually } from "../../support/eventually.ts";
import { type Crowd, gather } from "../../support/fleet/crowd.ts";
import { startFleet } from "../../support/fleet/fleet.ts";
import { Ledger } from "../../support/fleet/ledger.ts";
import { startLoad } from "../../support/fleet/load.ts";
import type { FleetNode } from "../../support/fleet/node.ts";
import { judge, type Verdict } from "../../support/fleet/oracle.ts";
import type { Person } from "../../support/fleet/person.ts";
import type { Fault } from "./scene.ts";

export type Account = Verdict & {
  readonly fault: string;
  readonly people: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  /** From the strike to the end of the last silence or reconnect; undefined: nobody noticed. */
  readonly recoveryMs: number | undefined;
  readonly longestSilenceMs: number;
  /** People who were without news for a while, and connections that were lost. */
  readonly cutOff: number;
  readonly drops: number;
  /** People who gave up for good: there must be none. */
  readonly gaveUp: number;
  /** What went wrong on clients without anybody waiting for it, by code. */
  readonly errors: Readonly<Record<string, number>>;
};

const NODES = 3;
const RECOVERY_TIMEOUT_MS = 60_000;
/** The load goes on after everybody hears again: late consequences count. */
const AFTERMATH_MS = 3000;
/** What was accepted last may still be on its way. */
const DELIVERY_TIMEOUT_MS = 15_000;

/** `onEnd`: a look at the nodes' logs, however it ended. */
export async function runFault(fault: Fault, people: number, onEnd?: (nodes: readonly FleetNode[]) => void): Promise<Account> {
  await using stack = new AsyncDisposableStack();
  const scene = stack.use(await fault.open());
  const fleet = stack.use(await startFleet({ nodes: NODES, redis: scene.redis }));
  stack.defer(() => onEnd?.(fleet.nodes));
  await using crowd = await gather(fleet, people);
  const ledger = new Ledger();
  const { silence } = crowd;
  const load = startLoad(fleet, crowd, { ledger });
  const calm = performance.now();
  await eventually("everybody hears the pulse", () => silence.isAliveSince(calm + 1000), { timeoutMs: 30_000 });
  silence.reset();
  const dropsBefore = count(crowd.people, ({ drops }) => drops);
  const struckAt = performance.now();
  await scene.strike(fleet);
  const overAt = performance.now();
  try {
    await eventually("everybody hears again", () => crowd.people.every(({ isConnected }) => isConnected) && silence.isAliveSince(overAt), {
      timeoutMs: RECOVERY_TIMEOUT_MS,
    });
    await Bun.sleep(AFTERMATH_MS);
  } catch (cause) {
    throw new Error(`${fault.name}: ${stateOf(crowd.people)}; ${logsOf(fleet.nodes)}`, { cause });
  } finally {
    await load.stop();
  }
  const verdict = await settled(ledger, crowd.people);
  if (verdict.holes > 0) console.log(`${fault.name}: ${logsOf(fleet.nodes)}`);
  fleet.checkErrors();
  return {
    ...{ fault: fault.name, people, ...verdict, accepted: ledger.accepted, refused: ledger.refused },
    recoveryMs: recoveryOf(crowd, struckAt),
    ...{ longestSilenceMs: silence.longestMs, cutOff: silence.cutOff },
    drops: count(crowd.people, ({ drops }) => drops) - dropsBefore,
    gaveUp: count(crowd.people, ({ isTrying }) => (isTrying ? 0 : 1)),
    errors: tally(crowd.people.flatMap(({ errors }) => errors)),
  };
}

/** The verdict once nothing is on its way any more; with holes when they stay. */
async function settled(ledger: Ledger, people: readonly Person[]): Promise<Verdict> {
  const deadline = performance.now() + DELIVERY_TIMEOUT_MS;
  for (;;) {
    const verdict = judge(ledger, people);
    if (verdict.holes === 0 || performance.now() > deadline) return verdict;
    await Bun.sleep(250);
  }
}

function recoveryOf({ people, silence }: Crowd, struckAt: number): number | undefined {
  const ends = [silence.endedAt ?? 0, ...people.flatMap(({ outages }) => outages.map(([, to]) => to))];
  const last = ends.reduce((latest, end) => Math.max(latest, end), 0);
  return last > struckAt ? last - struckAt : undefined;
}

const count = (people: readonly Person[], of: (person: Person) => number): number => people.reduce((sum, person) => sum + of(person), 0);

function tally(codes: readonly string[]): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const code of codes) found[code] = (found[code] ?? 0) + 1;
  return found;
}

const stateOf = (people: readonly Person[]): string =>
  `${people.filter(({ isConnected }) => isConnected).length} of ${people.length} connected, errors ${JSON.stringify(tally(people.flatMap(({ errors }) => errors)))}`;

/** What the nodes last complained of, without what every request and every stream says. */
const logsOf = (nodes: readonly FleetNode[]): string =>
  nodes.map(({ name, lines }) => `${name}: ${JSON.stringify(lines.filter(isComplaint).slice(-12))}`).join("\n");

const isComplaint = ({ level, event }: FleetNode["lines"][number]): boolean =>
  (level === "warn" || level === "error") && event !== "http.failed" && event !== "hub.gap";
