// Why: sessions come, go, join and part in any order; an engine's counts must stay those of a plain list.
// It must never ask the engine what the list says.
import { expect } from "bun:test";
import type { PresenceCounts, SessionInfo } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { freshTenant, type Subject } from "./subject.ts";

export const STEPS_PER_RUN = 40;
export type Step = { readonly act: "enter" | "leave" | "join" | "part"; readonly seat: number; readonly channel: string };
const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom("enter", "leave", "join", "join", "part"),
  seat: fc.nat({ max: 7 }),
  channel: fc.constantFrom("a", "b", "c"),
});
export const stepsOfSessions: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: STEPS_PER_RUN, maxLength: STEPS_PER_RUN });

const USERS = ["user-0", "user-1", "user-2"];
const seatOf = (sessionId: string, seat: Pick<SessionInfo, "user" | "tenant" | "transport">): SessionInfo => ({
  ...{ sessionId, roles: [], connectedAt: 0 },
  ...seat,
});

/** Eight sessions of three users in two tenants against a list of who is in and what each holds. */
export async function walk(subject: Subject, steps: readonly Step[]): Promise<void> {
  const { directory } = subject.engine;
  const tenants = [freshTenant(), freshTenant()] as const;
  const seats = Array.from({ length: 8 }, (_, i) =>
    seatOf(`s-${i}-${tenants[0]}`, { user: `user-${i % 3}`, tenant: tenants[i < 5 ? 0 : 1], transport: i % 2 === 0 ? "websocket" : "sse" }),
  );
  const held = new Map<SessionInfo, Set<string>>();
  for (const { act, seat, channel } of steps) {
    const one = seats[seat] as SessionInfo; // the arbitrary stays inside
    if (act === "enter") {
      expect(await directory.enter(one, { perUser: 1000 })).toBe("entered");
      if (!held.has(one)) held.set(one, new Set());
    } else if (act === "leave") {
      await directory.leave(one);
      held.delete(one);
    } else {
      await directory[act](one, channel);
      if (act === "join") held.get(one)?.add(channel);
      else held.get(one)?.delete(channel);
    }
    for (const tenant of tenants) {
      const present = [...held].filter(([info]) => info.tenant === tenant);
      expect(await directory.counts(tenant)).toEqual(countsOf(present));
      const names = [...new Set(present.flatMap(([, channels]) => [...channels]))].sort();
      expect((await directory.channels(tenant)).map(({ name }) => name)).toEqual(names);
      const places = (await Promise.all(USERS.map((user) => directory.userSessions(tenant, user)))).flat();
      expect(places.map(({ session }) => session.sessionId).sort()).toEqual(present.map(([{ sessionId }]) => sessionId).sort());
    }
  }
}

function countsOf(present: readonly (readonly [SessionInfo, ReadonlySet<string>])[]): PresenceCounts {
  const users = present.map(([{ user }]) => user);
  const channels = present.flatMap(([, held]) => [...held]);
  return {
    websocket: present.filter(([{ transport }]) => transport === "websocket").length,
    sse: present.filter(([{ transport }]) => transport === "sse").length,
    users: new Set(users).size,
    shared: new Set(users.filter((user, i) => users.indexOf(user) !== i)).size,
    channels: new Set(channels).size,
    subscriptions: channels.length,
  };
}
