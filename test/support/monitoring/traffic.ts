// Why: a panel is proven by what servers export while people use them: this is a little of everything that people and backends do,
// on every pod of a fleet, until it is stopped. It must never judge an answer: what is refused is part of the load.
import { Person } from "../fleet/person.ts";
import { WsClient } from "../ws-client.ts";

export type TrafficPlace = {
  /** Public ports of the pods. */
  readonly urls: readonly string[];
  /** A token of a tenant's user. */
  tokenOf(tenant: string, user: string): Promise<string>;
  /** Backends' keys: of the tenant whose users listen, and of one that may publish one a second. */
  readonly keys: { readonly usual: string; readonly narrow: string };
  /** The tenant of `keys.usual`. */
  readonly tenant: string;
};

export type Traffic = AsyncDisposable & {
  /** Publishes that were answered so far. */
  readonly answered: number;
  /** Attempts that nobody answered: the pod was dead, or waited for something. */
  readonly unanswered: number;
};

type Attempt = () => Promise<unknown>;

const TICK_MS = 100;
const PEOPLE = ["ann", "ben", "cyd"];
const CHANNELS = ["kept.news", "live.news"];

/** Resolves once everybody listens. */
export async function startTraffic({ urls, tokenOf, keys, tenant }: TrafficPlace): Promise<Traffic> {
  let turn = 0;
  const next = (): string => urls[turn++ % urls.length] ?? "";
  const people = await Promise.all(
    PEOPLE.map(async (user) => {
      const token = await tokenOf(tenant, user);
      return new Person({ user, token, channels: CHANNELS, place: () => ({ url: next() }), onEntry: () => undefined });
    }),
  );
  await Promise.all(people.map((person) => person.arrive()));
  const streams = await Promise.all(
    urls.map(async (url) => streamed(`${url}/sse?token=${await tokenOf(tenant, "dan")}&channels=kept.news`)),
  );
  const acking = await Promise.all(urls.map(async (url) => acknowledger(url, await tokenOf(tenant, "eve"))));
  let answered = 0;
  let unanswered = 0;
  const post = async (path: string, body: object, key = keys.usual) => {
    const answer = await fetch(`${next()}/api/v1/notifications/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify({ event_type: "load", payload: { text: "hello" }, ...body }),
      signal: AbortSignal.timeout(10_000),
    });
    await answer.body?.cancel();
    answered++;
  };
  const attempts: readonly [Attempt, ...Attempt[]] = [
    () => post("send", { target_user_id: "eve" }),
    () => post("channel", { channel: "kept.news" }),
    () => post("send", { target_user_id: "ann" }),
    () => post("channel", { channel: "live.news" }),
    () => post("broadcast", {}),
    () => post("send", { target_user_id: "nobody", template_id: "no-such-template" }),
    async () => await Promise.all(Array.from({ length: 6 }, () => post("send", { target_user_id: "nobody" }, keys.narrow))),
    async () => await (await WsClient.connect(`${next()}/ws?token=none`))[Symbol.asyncDispose](),
    async () => people[turn % people.length]?.drop(),
  ];
  let step = 0;
  const open = new Set<Promise<unknown>>();
  const timer = setInterval(() => {
    const attempt: Promise<unknown> = (attempts[step++ % attempts.length] ?? attempts[0])()
      .catch(() => unanswered++)
      .finally(() => open.delete(attempt));
    open.add(attempt);
  }, TICK_MS);
  return {
    get answered() {
      return answered;
    },
    get unanswered() {
      return unanswered;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await Promise.all(open);
      for (const person of people) person.close();
      for (const one of [...streams, ...acking]) await one[Symbol.asyncDispose]();
    },
  };
}

/** Listens by SSE to the end: its own, or that of the pod. */
async function streamed(url: string): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const { body, status } = await fetch(url, { headers: { accept: "text/event-stream" }, signal: stop.signal });
  if (!body || status !== 200) throw new Error(`${url}: ${status}`);
  const reading = body.pipeTo(new WritableStream()).catch(() => undefined); // a pod that dies ends it so
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await reading;
    },
  };
}

/** Listens and acknowledges each notification as it comes. */
async function acknowledger(url: string, token: string): Promise<AsyncDisposable> {
  const client = await WsClient.connect(`${url}/ws?token=${token}`, { protocols: ["nexus.v1.json"] });
  const stop = new AbortController();
  const acking = (async () => {
    while (!stop.signal.aborted) {
      const frame = await client.next("notification", 60_000).catch(() => undefined); // nothing came: look whether to stop
      if (typeof frame?.id === "string") client.send({ type: "Ack", payload: { notification_id: frame.id } });
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      client.frames.push({ type: "notification" }); // lets go of the wait
      await acking;
      await client[Symbol.asyncDispose]();
    },
  };
}
