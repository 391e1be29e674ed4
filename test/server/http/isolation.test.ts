// Why: a tenant's key must see nothing of another tenant, in any answer, whatever the other does and whatever names both use.
// The oracle needs no model: what one tenant sees does not change while only the other one acts.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzSettings, fuzzTimeoutMs } from "../../support/fuzz.ts";
import { ACME, OTHER, type Seated, startTwoTenants, type TwoTenants } from "../../support/two-tenants.ts";

const USERS = ["ann", "bob", "zoe"] as const;
const CHANNELS = ["news", "kept.a", "kept.b"] as const;
const STEPS_PER_RUN = 10;

let server: TwoTenants;
let own: Seated;
beforeAll(async () => {
  server = await startTwoTenants();
  own = await server.listen("ann", { channels: ["news", "kept.a"] });
  await send("channel", { channel: "kept.a" }, ACME);
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const send = (operation: string, target: Readonly<Record<string, string>>, key: string) =>
  server.rest("POST", `/api/v1/notifications/${operation}`, { key, body: { event_type: "test", payload: null, ...target } });

const READS: readonly string[] = [
  ...["/api/v1/channels", "/api/v1/tenants", "/api/v1/tenants/acme", "/api/v1/tenants/other", "/api/v1/cluster/status"],
  ...["/stats", "/api/v1/stats", "/api/v1/stats/acks"],
  ...CHANNELS.flatMap((name) => [`/api/v1/channels/${name}`, `/api/v1/channels/${name}/history`]),
  ...USERS.flatMap((user) => [`/api/v1/users/${user}/subscriptions`, `/api/v1/users/${user}/inbox`, `/api/v1/cluster/users/${user}`]),
];

/** Everything acme's key can read, each answer without its request id. */
async function seenByAcme(): Promise<readonly unknown[]> {
  const answers = await Promise.all(READS.map((path) => server.rest("GET", path, { key: ACME })));
  return answers.map(({ status, body: { request_id, ...body } }) => [status, body]);
}

type Act = { readonly kind: "come" | "go" | "user" | "channel" | "broadcast"; readonly user: string; readonly channel: string };
const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom("come", "come", "go", "user", "channel", "broadcast"),
  user: fc.constantFrom(...USERS),
  channel: fc.constantFrom(...CHANNELS),
});

test(
  "whatever another tenant does, nothing a key can read changes, and it can send nobody of the other away",
  async () => {
    const before = await seenByAcme();
    const property = fc.asyncProperty(fc.array(act, { minLength: STEPS_PER_RUN, maxLength: STEPS_PER_RUN }), async (acts) => {
      const seats: Seated[] = [];
      try {
        for (const one of acts) {
          const published = await perform(one, seats);
          expect(await seenByAcme()).toEqual(before);
          if (published !== undefined) {
            expect((await server.rest("GET", `/api/v1/notifications/${published}`, { key: ACME })).status).toBe(404);
          }
          for (const { connectionId } of seats) {
            expect((await server.rest("DELETE", `/api/v1/sessions/${connectionId}`, { key: ACME })).status).toBe(404);
          }
          for (const user of ["bob", "zoe"]) {
            expect((await server.rest("DELETE", `/api/v1/users/${user}/sessions`, { key: ACME })).body.disconnected).toBe(0);
          }
        }
        for (const seat of seats) {
          seat.send({ type: "Ping" });
          await seat.next("pong");
        }
      } finally {
        for (const seat of seats) await seat[Symbol.asyncDispose]();
      }
    });
    await fc.assert(property, fuzzSettings(STEPS_PER_RUN));
    const theirs = await server.rest("GET", "/stats", { key: OTHER });
    expect(theirs.body.notifications).not.toMatchObject({ total_sent: 0 }); // the other one did act
  },
  fuzzTimeoutMs(60),
);

/** The other tenant acts; a notification's id where it published one. */
async function perform({ kind, user, channel }: Act, seats: Seated[]): Promise<unknown> {
  switch (kind) {
    case "come":
      if (seats.length < 5) seats.push(await server.listen(user, { tenant: "other", channels: [channel] })); // a user's limit
      return undefined;
    case "go":
      await seats.shift()?.[Symbol.asyncDispose]();
      return undefined;
    case "user":
      return (await send("send", { target_user_id: user }, OTHER)).body.notification_id;
    case "channel":
      return (await send("channel", { channel }, OTHER)).body.notification_id;
    case "broadcast":
      return (await send("broadcast", {}, OTHER)).body.notification_id;
    default:
      return kind satisfies never;
  }
}
