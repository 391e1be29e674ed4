// Why: a tenant must see and count nothing of another, in any answer and on any socket, whatever the other does and whatever
// names and ids both use. The oracle needs no model: what one tenant sees does not change while only the other one acts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CLIENT_FRAMES, type ClientFrameType } from "@nexus/protocol/frames.ts";
import { OPERATIONS, type OperationId } from "@nexus/protocol/rest/operations.ts";
import fc from "fast-check";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import type { RestAnswer } from "../support/rest.ts";
import { token } from "../support/rest.ts";
import { ACME, OTHER, type Seated, startTwoTenants, type TwoTenants } from "../support/two-tenants.ts";

const USERS = ["ann", "bob", "zoe"] as const;
const CHANNELS = ["news", "kept.a", "kept.b", "talk.a"] as const;
const TEMPLATES = ["greeting", "bye"] as const;
const KEYS = ["key-1", "key-2"] as const;
const STEPS_PER_RUN = 10;
const CONTENT = { event_type: "test", payload: { n: 1 } };

/** What an act may name: both tenants use the same, and the other also uses ids that belong to the first. */
type Names = {
  readonly user: string;
  readonly channel: string;
  readonly template: string;
  readonly key: string;
  /** A notification and a session of the first tenant. */
  readonly stolen: boolean;
};
const names: fc.Arbitrary<Names> = fc.record({
  user: fc.constantFrom(...USERS),
  channel: fc.constantFrom(...CHANNELS),
  template: fc.constantFrom(...TEMPLATES),
  key: fc.constantFrom(...KEYS),
  stolen: fc.boolean(),
});
type Act = Names & { readonly kind: OperationId | ClientFrameType | "come" | "go" };
const FRAMES: readonly ClientFrameType[] = ["Subscribe", "Unsubscribe", "Ping", "Ack", "Resume", "Refresh", "Publish"];

/** Method and path come from the operation itself; these fill in the rest. Every operation has its line. */
const ASKS: Record<OperationId, (names: Names, ids: Ids) => { readonly path?: Readonly<Record<string, string>>; readonly body?: unknown }> =
  {
    send: ({ user }) => ({ body: { target_user_id: user, ...CONTENT } }),
    sendToUsers: () => ({ body: { target_user_ids: USERS, ...CONTENT } }),
    broadcast: ({ user }) => ({ body: { ...CONTENT, audience: { type: "Users", value: [user] } } }),
    channel: ({ channel }) => ({ body: { channel, ...CONTENT } }),
    channels: () => ({ body: { channels: CHANNELS, ...CONTENT } }),
    batch: ({ user, template }) => ({
      body: {
        notifications: [
          { target: { type: "user", value: user }, ...CONTENT },
          { target: { type: "broadcast" }, template_id: template, variables: {} },
        ],
        options: { deduplicate: true },
      },
    }),
    listChannels: () => ({}),
    getChannel: ({ channel }) => ({ path: { name: channel } }),
    channelHistory: ({ channel }) => ({ path: { name: channel } }),
    userSubscriptions: ({ user }) => ({ path: { id: user } }),
    disconnectUser: ({ user }) => ({ path: { id: user } }),
    disconnectSession: (_, { session }) => ({ path: { id: session } }),
    listInbox: ({ user }) => ({ path: { id: user } }),
    deleteInboxEntry: ({ user }, { notification }) => ({ path: { id: user, entry: notification } }),
    notificationStatus: (_, { notification }) => ({ path: { id: notification } }),
    createTemplate: ({ template }) => ({ body: { id: template, name: "n", event_type: "t", payload_template: { a: "{{b}}" } } }),
    listTemplates: () => ({}),
    getTemplate: ({ template }) => ({ path: { id: template } }),
    updateTemplate: ({ template }) => ({ path: { id: template }, body: { name: "other" } }),
    deleteTemplate: ({ template }) => ({ path: { id: template } }),
    previewTemplate: ({ template }) => ({ path: { id: template }, body: { variables: {} } }),
    listTenants: () => ({}),
    getTenant: ({ stolen }) => ({ path: { id: stolen ? "acme" : "other" } }),
    clusterStatus: () => ({}),
    clusterUser: ({ user }) => ({ path: { id: user } }),
    stats: () => ({}),
    statsOverview: () => ({}),
    statsAcks: () => ({}),
    createTicket: () => ({}),
    health: () => ({}),
    openapi: () => ({}),
  };

type Ids = { readonly notification: string; readonly session: string };

/** Everything a key can read of its tenant. */
const READS: readonly string[] = [
  ...["/api/v1/channels", "/api/v1/tenants", "/api/v1/tenants/acme", "/api/v1/tenants/other", "/api/v1/templates"],
  ...["/stats", "/api/v1/stats", "/api/v1/stats/acks"],
  ...TEMPLATES.map((id) => `/api/v1/templates/${id}`),
  ...CHANNELS.flatMap((name) => [`/api/v1/channels/${name}`, `/api/v1/channels/${name}/history`]),
  ...USERS.flatMap((user) => [`/api/v1/users/${user}/subscriptions`, `/api/v1/users/${user}/inbox`, `/api/v1/cluster/users/${user}`]),
];

const kinds: fc.Arbitrary<Act["kind"]> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("come" as const, "come" as const, "go" as const) },
  { weight: 4, arbitrary: fc.constantFrom(...OPERATIONS.map(({ id }) => id)) },
  { weight: 3, arbitrary: fc.constantFrom(...FRAMES) },
);
const act: fc.Arbitrary<Act> = fc.tuple(kinds, names).map(([kind, rest]) => ({ kind, ...rest }));

/** `settings`: environment that chooses the engine. */
export function isolationSuite(engine: string, settings: () => Promise<Readonly<Record<string, string>>>): void {
  describe(`isolation: ${engine}`, () => {
    let server: TwoTenants;
    let own: Seated;
    /** A notification of acme's and what became of it. */
    let kept: string;

    beforeAll(async () => {
      server = await startTwoTenants(await settings());
      own = await server.listen("ann", { channels: ["news", "kept.a"] });
      await send("channel", { channel: "kept.a", ...CONTENT });
      await own.next("notification");
      kept = String((await send("send", { target_user_id: "bob", ...CONTENT })).body.notification_id);
      await server.rest("POST", "/api/v1/templates", { key: ACME, body: { id: "greeting", name: "acme's", ...TEMPLATE } });
    });
    afterAll(async () => {
      await own[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    const TEMPLATE = { event_type: "t", payload_template: { whose: "acme" } };
    const send = (operation: string, body: unknown, key = ACME) => server.rest("POST", `/api/v1/notifications/${operation}`, { key, body });

    async function seenByAcme(): Promise<readonly unknown[]> {
      const paths = [...READS, `/api/v1/notifications/${kept}`];
      const answers = await Promise.all(paths.map((path) => server.rest("GET", path, { key: ACME })));
      return answers.map(({ status, body: { request_id, redis, ...body } }) => [status, body]);
    }

    test("every operation and every frame has an act", () => {
      expect(Object.keys(ASKS).sort()).toEqual(OPERATIONS.map(({ id }) => id).sort());
      expect([...FRAMES].sort()).toEqual((Object.keys(CLIENT_FRAMES) as ClientFrameType[]).sort());
    });

    test(
      "whatever another tenant does, nothing a key can read changes, no socket hears of it, and nobody is sent away",
      async () => {
        const before = await seenByAcme();
        const property = fc.asyncProperty(fc.array(act, { minLength: STEPS_PER_RUN, maxLength: STEPS_PER_RUN }), async (acts) => {
          const other = new Other(server, { notification: kept, session: own.connectionId });
          try {
            for (const one of acts) await other.perform(one);
            expect(await seenByAcme()).toEqual(before);
            await other.expectSafe();
            own.send({ type: "Ping" });
            await own.next("pong");
            expect(own.kept.filter(({ type }) => type === "notification" || type === "gap")).toEqual([]);
          } finally {
            await other[Symbol.asyncDispose]();
          }
        });
        await fc.assert(property, fuzzSettings(STEPS_PER_RUN));
        const theirs = await server.rest("GET", "/stats", { key: OTHER });
        expect(theirs.body.notifications).not.toMatchObject({ total_sent: 0 }); // the other one did act
      },
      fuzzTimeoutMs(100),
    );

    test("an idempotency key of one tenant says nothing about the other's", async () => {
      for (const [operation, body] of [
        ["send", { target_user_id: "zoe" }],
        ["broadcast", {}],
        ["send-to-users", { target_user_ids: ["zoe", "bob"] }],
      ] as const) {
        const ask = (key: string, payload: string) =>
          server.rest("POST", `/api/v1/notifications/${operation}`, {
            key,
            headers: { "idempotency-key": `shared-${operation}` },
            body: { event_type: "t", payload, ...body },
          });
        const theirs = await ask(OTHER, "theirs");
        const ours = await ask(ACME, "ours"); // another body under the same key: a conflict within one tenant
        expect([theirs.status, ours.status]).toEqual([200, 200]);
        expect(ours.headers.get("idempotency-replayed")).toBeNull();
        expect(ours.body.notification_id).not.toBe(theirs.body.notification_id);
      }
    });
  });
}

/** The tenant `other`, with its sockets, and what it has learned. */
class Other implements AsyncDisposable {
  readonly #server: TwoTenants;
  /** Ids of the first tenant, which the other somehow knows. */
  readonly #stolen: Ids;
  readonly #seats: Seated[] = [];
  #published: string[] = [];

  constructor(server: TwoTenants, stolen: Ids) {
    this.#server = server;
    this.#stolen = stolen;
  }

  async perform(act: Act): Promise<void> {
    const { kind } = act;
    if (kind === "come") {
      if (this.#seats.length < 5) this.#seats.push(await this.#server.listen(act.user, { tenant: "other", channels: [act.channel] })); // a user's limit
    } else if (kind === "go") await this.#seats.shift()?.[Symbol.asyncDispose]();
    else if (isFrame(kind)) await this.#say(kind, act);
    else await this.#ask(kind, act);
  }

  #ids({ stolen }: Names): Ids {
    if (stolen) return this.#stolen;
    return { notification: this.#published.at(-1) ?? this.#stolen.notification, session: this.#seats.at(-1)?.connectionId ?? "none" };
  }

  async #ask(id: OperationId, act: Act): Promise<void> {
    const operation = OPERATIONS.find((one) => one.id === id);
    if (!operation) throw new Error(`no operation ${id}`);
    const { path = {}, body } = ASKS[id](act, this.#ids(act));
    const filled = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? "missing"));
    const headers: Record<string, string> = operation.method !== "POST" ? {} : { "idempotency-key": act.key };
    const sent =
      id === "createTicket" ? { headers: { authorization: `Bearer ${await token(act.user, { tenant_id: "other" })}` } } : { headers };
    const answer = await this.#server.rest(operation.method, filled, { key: OTHER, ...sent, ...(body === undefined ? {} : { body }) });
    this.#learn(answer);
    expect(answer.status).toBeLessThan(500);
    if (act.stolen && ["disconnectSession", "deleteInboxEntry", "notificationStatus"].includes(id)) expect(answer.status).toBe(404);
  }

  #learn({ body: { notification_id } }: RestAnswer): void {
    if (typeof notification_id === "string") this.#published.push(notification_id);
  }

  async #say(type: ClientFrameType, act: Act): Promise<void> {
    const seat = this.#seats[0];
    if (!seat) return;
    const { notification } = this.#ids(act);
    const payloads: Record<ClientFrameType, unknown> = {
      Subscribe: { channels: [act.channel] },
      Unsubscribe: { channels: [act.channel] },
      Ping: undefined,
      Ack: act.stolen ? { notification_id: notification } : { up_to: { epoch: "0", offset: 3 } },
      Resume: { cursor: "AQ" },
      Refresh: { token: await token(act.user, { tenant_id: act.stolen ? "acme" : "other" }) },
      Publish: { channel: "talk.a", event_type: "t", payload: 1 },
    };
    const payload = payloads[type];
    seat.send({ type, ...(payload === undefined ? {} : { payload }) });
  }

  /** Nobody of the first tenant can be reached from there, and its key reaches nobody here. */
  async expectSafe(): Promise<void> {
    const ask = (method: string, path: string) => this.#server.rest(method, path, { key: ACME });
    for (const id of this.#published) expect((await ask("GET", `/api/v1/notifications/${id}`)).status).toBe(404);
    for (const { connectionId } of this.#seats) expect((await ask("DELETE", `/api/v1/sessions/${connectionId}`)).status).toBe(404);
    expect((await ask("DELETE", "/api/v1/users/zoe/sessions")).body.disconnected).toBe(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const seat of this.#seats) await seat[Symbol.asyncDispose]();
    this.#published = [];
  }
}

const isFrame = (kind: string): kind is ClientFrameType => kind in CLIENT_FRAMES;
