// Why: publishes, batches and keys under every mix of people coming and going, templates appearing, bodies changing and the
// engine breaking: held step by step against a plain oracle.
import { expect, test } from "bun:test";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { Failure } from "@nexus/protocol/failures.ts";
import { NIL_UUID } from "@nexus/protocol/rest/content.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import type { BatchItem } from "@nexus/server/core/batch-items.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import type { Entry, SessionInfo } from "@nexus/server/core/ports.ts";
import { createPublisher, type Publisher } from "@nexus/server/core/publish.ts";
import { streamKey } from "@nexus/server/core/streams.ts";
import fc from "fast-check";
import { tenantSettings } from "../../support/bundle-entries.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../../support/fuzz.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";
import { type Ask, type Fate, type Item, type ItemFate, Oracle } from "./batch-oracle.ts";

const TENANT = "acme";
const USERS = ["a", "b", "c"] as const;
const CHANNELS = ["x", "y"] as const;

type Step =
  | { readonly kind: "enter"; readonly user: string }
  | { readonly kind: "leave"; readonly at: number }
  | { readonly kind: "join"; readonly at: number; readonly channel: string }
  | { readonly kind: "template" }
  | { readonly kind: "ask"; readonly ask: Ask; readonly key: string | undefined; readonly breakAfter: number | undefined }
  | { readonly kind: "again"; readonly at: number; readonly breakAfter: number | undefined };

const user = fc.constantFrom(...USERS);
const channel = fc.constantFrom(...CHANNELS);
const target = fc.oneof(
  fc.record({ type: fc.constant("user" as const), name: user }),
  fc.record({ type: fc.constant("channel" as const), name: channel }),
  fc.record({ type: fc.constant("users" as const), names: fc.array(user, { maxLength: 4 }) }),
  fc.record({ type: fc.constant("channels" as const), names: fc.array(channel, { maxLength: 3 }) }),
  fc.record({ type: fc.constant("broadcast" as const) }),
);
const said = fc.oneof(
  { weight: 4, arbitrary: fc.record({ says: fc.nat({ max: 1 }), eventType: fc.constantFrom("e", "f") }) },
  {
    weight: 1,
    arbitrary: fc.record({ says: fc.constant(0), eventType: fc.constant("e"), template: fc.constantFrom("good", "late", "none") }),
  },
);
const item = fc.record({ target, said });
const ask: fc.Arbitrary<Ask> = fc.oneof(
  fc.record({ kind: fc.constant("one" as const), item }),
  fc.record({
    kind: fc.constant("batch" as const),
    items: fc.array(item, { minLength: 1, maxLength: 6 }),
    stopOnError: fc.boolean(),
    deduplicate: fc.boolean(),
  }),
);
const breakAfter = fc.option(fc.nat({ max: 8 }), { nil: undefined, freq: 3 });
const key = fc.option(fc.constantFrom("k", "l", "m"), { nil: undefined });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("enter" as const), user }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("join" as const), at: fc.nat(), channel }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("template" as const) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("ask" as const), ask, key, breakAfter }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("again" as const), at: fc.nat(), breakAfter }) },
);

/** The oracle's made-up ids and the real ones: each stands for one of the other, for ever. */
class Ids {
  readonly #real = new Map<number, string>([[0, NIL_UUID]]);
  readonly #madeUp = new Map<string, number>([[NIL_UUID, 0]]);

  /** The made-up id of a real one; `expected` where it was never seen. */
  of(real: string, expected: number): number {
    if (!this.#madeUp.has(real) && !this.#real.has(expected)) {
      this.#madeUp.set(real, expected);
      this.#real.set(expected, real);
    }
    return this.#madeUp.get(real) ?? -1;
  }
}

/** The real thing, without a port: publisher and memory engine, an engine that can be away, sessions as the directory knows them. */
class Real {
  readonly #clock = manualServerClock();
  readonly #engine = createMemoryEngine({ clock: this.#clock, ids: systemIds, maxBytes: 1 << 28 });
  readonly #publisher: Publisher;
  readonly #sessions: SessionInfo[] = [];
  readonly templates = new Set(["good"]);
  readonly heard: Entry[] = [];
  stepsLeft = Number.POSITIVE_INFINITY;

  constructor() {
    const { store } = this.#engine;
    const { quotas } = tenantSettings();
    const tenant = tenantSettings({ quotas: { ...quotas, inbox: { ...quotas.inbox, messages: 10_000 } } });
    const settings: TemplateSettings = {
      ...{ tenant_id: TENANT, template_id: "t", event_type: "e", priority: "Normal", engine: "Simple" },
      ...{ variables: [], payload: { t: 1 }, locales: [] },
    };
    const none = { tenantIds: () => [], templateIds: () => [] };
    this.#publisher = createPublisher({
      tenants: { cluster: defaultClusterSettings, tenant: () => tenant, template: () => undefined, keyHolder: () => undefined, ...none },
      templates: (_, id) => (this.templates.has(id) ? settings : undefined),
      engine: {
        ...this.#engine,
        store: {
          ...store,
          publish: async (request) => {
            if (this.stepsLeft-- <= 0) throw new Failure({ code: "broker_unavailable", detail: "The broker is away" });
            return store.publish(request);
          },
        },
      },
      ...{ clock: this.#clock, ids: systemIds, metrics: recordingMetrics(), log: { error: () => undefined } },
      defer: (run) => setImmediate(run),
    });
  }

  async start(): Promise<void> {
    const listener = { onEntry: (entry: Entry) => void this.heard.push(entry), onGap: () => undefined };
    const streams = [
      ...USERS.map((name) => ({ kind: "inbox" as const, tenant: TENANT, user: name })),
      ...CHANNELS.map((name) => ({ kind: "channel" as const, tenant: TENANT, channel: name })),
      { kind: "broadcast" as const, tenant: TENANT },
    ];
    for (const stream of streams) await this.#engine.bus.listen(stream, listener);
  }

  async enter(name: string): Promise<void> {
    const session = { sessionId: systemIds.uuid(), tenant: TENANT, user: name, roles: [], connectedAt: 0, transport: "sse" as const };
    await this.#engine.directory.enter(session, { perUser: 1000 });
    this.#sessions.push(session);
  }

  async leave(at: number): Promise<void> {
    for (const session of this.#sessions.splice(at, 1)) await this.#engine.directory.leave(session);
  }

  async join(at: number, name: string): Promise<void> {
    const session = this.#sessions[at];
    if (session) await this.#engine.directory.join(session, name);
  }

  async ask(asked: Ask, idempotencyKey: string | undefined, { ids, expected }: { ids: Ids; expected: Fate }): Promise<Fate> {
    const keyed = {
      tenant: TENANT,
      source: "test",
      ...(idempotencyKey === undefined ? {} : { idempotencyKey, fingerprint: JSON.stringify(asked) }),
    };
    try {
      return asked.kind === "one"
        ? await this.#one(asked.item, keyed, { ids, expected })
        : await this.#batch(asked, keyed, { ids, expected });
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.refusal.code === "broker_unavailable") return { kind: "away" };
      throw thrown;
    }
  }

  async #one(asked: Item, keyed: Keyed, { ids, expected }: { ids: Ids; expected: Fate }): Promise<Fate> {
    const { target: aimed, content } = itemOf(asked);
    const wanted = "id" in expected ? expected.id : -1;
    if (aimed.kind === "users" || aimed.kind === "channels") {
      const outcome = await this.#publisher.publishMany({ ...keyed, targets: aimed, content });
      if ("code" in outcome) return { kind: "refused", code: outcome.code };
      const { notificationId, deliveredTo, queued, replayed } = outcome;
      return { kind: "published", id: ids.of(notificationId, wanted), deliveredTo, queued, replayed };
    }
    const outcome = await this.#publisher.publish({ ...keyed, target: aimed, content });
    if ("code" in outcome) return { kind: "refused", code: outcome.code };
    const { notificationId, deliveredTo, queued } = outcome.record;
    return { kind: "published", id: ids.of(notificationId, wanted), deliveredTo, queued, replayed: outcome.replayed };
  }

  async #batch(asked: Extract<Ask, { kind: "batch" }>, keyed: Keyed, { ids, expected }: { ids: Ids; expected: Fate }): Promise<Fate> {
    const { stopOnError, deduplicate } = asked;
    const outcome = await this.#publisher.batch({ ...keyed, items: asked.items.map(itemOf), stopOnError, deduplicate });
    if ("code" in outcome) return { kind: "refused", code: outcome.code };
    const wanted = expected.kind === "batch" ? expected.results : [];
    const results = outcome.results.map((result, index): ItemFate => {
      if (result.kind === "refused") return { kind: "refused", code: result.refusal.code };
      if (result.kind !== "published") return result;
      const { notificationId, deliveredTo, queued } = result;
      const want = wanted[index];
      return { kind: "published", id: ids.of(notificationId, want?.kind === "published" ? want.id : -1), deliveredTo, queued };
    });
    return { kind: "batch", replayed: outcome.replayed, results };
  }
}

type Keyed = { readonly tenant: string; readonly source: string; readonly idempotencyKey?: string; readonly fingerprint?: string };

function itemOf({ target: aimed, said: { says, eventType, template } }: Item): BatchItem {
  const content = template === undefined ? { event_type: eventType, payload: { says } } : { template_id: template };
  switch (aimed.type) {
    case "user":
      return { content, target: { kind: "user", user: aimed.name } };
    case "channel":
      return { content, target: { kind: "channel", channel: aimed.name } };
    case "users":
      return { content, target: { kind: "users", users: aimed.names } };
    case "channels":
      return { content, target: { kind: "channels", channels: aimed.names } };
    case "broadcast":
      return { content, target: { kind: "broadcast" } };
    default:
      return aimed satisfies never;
  }
}

const STEPS_PER_RUN = 10;

async function holds(steps: readonly Step[]): Promise<void> {
  const real = new Real();
  await real.start();
  const oracle = new Oracle();
  const ids = new Ids();
  const asked: { readonly ask: Ask; readonly key: string | undefined }[] = [];
  const place = (at: number) => (oracle.sessions.length === 0 ? 0 : at % oracle.sessions.length);

  async function compare(what: Ask, idempotencyKey: string | undefined, steps: number | undefined): Promise<void> {
    oracle.stepsLeft = real.stepsLeft = steps ?? Number.POSITIVE_INFINITY;
    const expected = oracle.ask(what, idempotencyKey);
    expect(await real.ask(what, idempotencyKey, { ids, expected })).toEqual(expected);
    asked.push({ ask: what, key: idempotencyKey });
  }

  for (const one of steps) {
    switch (one.kind) {
      case "enter":
        oracle.sessions.push({ user: one.user, channels: new Set() });
        await real.enter(one.user);
        break;
      case "leave":
        await real.leave(place(one.at));
        oracle.sessions.splice(place(one.at), 1);
        break;
      case "join":
        await real.join(place(one.at), one.channel);
        oracle.sessions[place(one.at)]?.channels.add(one.channel);
        break;
      case "template":
        for (const { templates } of [oracle, real]) if (!templates.delete("late")) templates.add("late");
        break;
      case "ask":
        await compare(one.ask, one.key, one.breakAfter);
        break;
      case "again": {
        const earlier = asked[one.at % Math.max(asked.length, 1)];
        if (earlier) await compare(earlier.ask, earlier.key, one.breakAfter);
        break;
      }
      default:
        one satisfies never;
    }
  }
  // What was announced, stream by stream and in order, is what the oracle sent: nothing twice, nothing too little.
  for (const [stream, sent] of oracle.streams) {
    const heard = real.heard.filter((entry) => streamKey(entry.stream) === stream.replace("/", `/${TENANT}/`).replace(/\/$/, ""));
    expect(heard.map(({ notification }, index) => ids.of(notification.id, sent[index] ?? -1))).toEqual(sent);
  }
  expect(real.heard).toHaveLength([...oracle.streams.values()].flat().length);
}

test(
  "publishes, batches and keys do what the oracle says",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: STEPS_PER_RUN, maxLength: 60, size: "max" }), holds),
      fuzzSettings(STEPS_PER_RUN),
    );
  },
  fuzzTimeoutMs(50),
);
