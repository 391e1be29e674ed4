// Why: thousands of people in one process, each in an inbox, the broadcast, a channel that is kept, one that is not, and the
// pulse that all of them hear. It must never put two people behind one client.
import { type Heard, Person } from "./person.ts";
import { SilenceMeter } from "./silence.ts";
import type { Target } from "./target.ts";

export type Crowd = AsyncDisposable & {
  readonly people: readonly Person[];
  readonly silence: SilenceMeter;
  readonly groups: number;
};

/** A channel with history that everybody follows. */
export const PULSE = "kept.pulse";
/** Three missed pulses. */
const SILENCE_MS = 1500;
const ARRIVALS_AT_ONCE = 100;
/** So that a channel has a few dozen to a few hundred listeners. */
const GROUPS = 20;

export const keptGroup = (group: number): string => `kept.group-${group}`;
export const liveGroup = (group: number): string => `live.group-${group}`;

/** `groups`: channels of each kind that people are spread over. */
export type CrowdOptions = { readonly groups?: number; readonly onEntry?: (person: Person, entry: Heard) => void };

/** Resolves once everybody is connected and every channel is confirmed. */
export async function gather(fleet: Target, count: number, { groups = GROUPS, onEntry }: CrowdOptions = {}): Promise<Crowd> {
  const silence = new SilenceMeter(count, SILENCE_MS);
  const pulse = `channel:${PULSE}`;
  const people = Array.from({ length: count }, (_, index) => {
    const user = `user-${index}`;
    const channels = [PULSE, keptGroup(index % groups), liveGroup(index % groups)];
    const person: Person = new Person({
      ...{ user, token: fleet.boot.tokenOf(user), channels, place: () => fleet.next() },
      onEntry(entry) {
        if (entry.stream === pulse) silence.heard(index, entry.at);
        onEntry?.(person, entry);
      },
    });
    return person;
  });
  const close = () => {
    for (const person of people) person.close();
  };
  try {
    for (let at = 0; at < count; at += ARRIVALS_AT_ONCE) {
      await Promise.all(people.slice(at, at + ARRIVALS_AT_ONCE).map((person) => person.arrive()));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { people, silence, groups, [Symbol.asyncDispose]: async () => close() };
}
