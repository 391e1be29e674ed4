// Why: joining and leaving channels, as a session asks for it. Partial by contract: the good names are confirmed
// together, then one error speaks for all bad ones. It must never count a name twice.

import type { Position } from "@nexus/protocol/cursor.ts";
import { Failure, type FailureCode, type FieldError, type Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import { CHANNEL_RULE, isChannelName, matchesChannel } from "@nexus/protocol/names.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame, errorFrame, NOWHERE } from "./frame.ts";
import type { Hub } from "./hub.ts";
import { type Joining, type Located, placeOf } from "./joining.ts";
import { Members } from "./members.ts";
import type { Directory, StreamId, Tenants } from "./ports.ts";
import type { Session } from "./session.ts";
import { channelRule } from "./streams.ts";

export type SubscribeDeps = {
  readonly hub: Hub;
  readonly flusher: Flusher;
  readonly joining: Joining;
  readonly tenants: Tenants;
  readonly directory: Pick<Directory, "join" | "part">;
};

/** More names in one frame are refused unread, unless a session may hold more: reading them would hold up everybody. */
const MAX_NAMES = 1000;

type Bad = { readonly code: FailureCode; readonly field: FieldError };
type Asked = { readonly name: string; readonly since: Position | undefined };
type Joined = { readonly name: string; readonly located: Located };

export const channelStream = (session: Session, channel: string): StreamId => ({ kind: "channel", tenant: session.tenant, channel });

/** Answers `subscribed` for the good names and one `error` for the bad ones; its refusal is returned for the flood limit. */
export async function subscribe(deps: SubscribeDeps, session: Session, frame: ClientFrameOf<"Subscribe">): Promise<Refusal | undefined> {
  const tooMany = judgeCount(deps, session, frame.payload.channels.length);
  if (tooMany) {
    deps.flusher.reply(session, errorFrame(tooMany, frame.id));
    return tooMany;
  }
  const good: Asked[] = [];
  const bad: Bad[] = [];
  const fresh = new Set<string>();
  frame.payload.channels.forEach((item, index) => {
    const name = typeof item === "string" ? item : item.name;
    const problem = judge(deps, session, { name, fresh });
    if (problem) bad.push({ code: problem.code, field: { pointer: `/payload/channels/${index}`, detail: problem.detail } });
    else {
      good.push({ name, since: typeof item === "string" ? undefined : item.since });
      if (!session.holdsChannel(name)) fresh.add(name);
    }
  });
  const joined = await joinAll(deps, session, good);
  if (session.ended) return undefined;
  if (good.length > 0 || bad.length === 0) {
    const id = frame.id === undefined ? {} : { id: frame.id };
    const streams = joined.map(({ located }) => located);
    const states = streams.map(({ state }) => state);
    const answer = { type: "subscribed", payload: good.map(({ name }) => name), ...id, streams: states } as const;
    deps.flusher.enqueue(session, controlFrame(answer, streams.map(placeOf)));
  }
  for (const { located } of joined) await deps.joining.deliver(session, located);
  deps.flusher.write(session);
  if (bad.length === 0) return undefined;
  const refusal = refusalOf(bad);
  deps.flusher.reply(session, errorFrame(refusal, frame.id));
  return refusal;
}

function judgeCount({ tenants }: SubscribeDeps, session: Session, count: number): Refusal | undefined {
  const most = Math.max(MAX_NAMES, tenants.tenant(session.tenant)?.quotas.subscriptionsPerConnection ?? 0);
  if (count <= most) return undefined;
  const detail = `One frame may name ${most} channels`;
  return { code: "subscription_error", detail, fields: [{ pointer: "/payload/channels", detail }] };
}

function judge(
  deps: SubscribeDeps,
  session: Session,
  { name, fresh }: { readonly name: string; readonly fresh: ReadonlySet<string> },
): { readonly code: FailureCode; readonly detail: string } | undefined {
  if (!isChannelName(name)) return { code: "subscription_error", detail: `A channel name has ${CHANNEL_RULE}` };
  if (session.holdsChannel(name) || fresh.has(name)) return undefined;
  const tenant = deps.tenants.tenant(session.tenant);
  if (!tenant) return { code: "forbidden", detail: "No such tenant" };
  if (!mayListen(deps.tenants, session, name))
    return { code: "forbidden", detail: "The token's channels claim does not cover this channel" };
  const limit = tenant.quotas.subscriptionsPerConnection;
  if ((session.channels?.size ?? 0) + fresh.size < limit) return undefined;
  return { code: "subscription_error", detail: `A session may hold ${limit} channels` };
}

/** Whether the channel's rule lets this session's token listen. */
export function mayListen(tenants: Tenants, { tenant, identity }: Session, channel: string): boolean {
  const settings = tenants.tenant(tenant);
  if (!settings) return false;
  if (channelRule(tenants.cluster(), settings, channel).subscribe === "Anyone") return true;
  return identity.channels.some((pattern) => matchesChannel(pattern, channel));
}

/** New names are joined side by side; names already held only report where they stand. In the order of the request. */
async function joinAll(deps: SubscribeDeps, session: Session, asked: readonly Asked[]): Promise<readonly Joined[]> {
  const once = [...new Map(asked.map((one) => [one.name, one])).values()];
  const isNew = new Set(once.filter(({ name }) => !session.holdsChannel(name)).map(({ name }) => name));
  const results = await Promise.allSettled(once.map((one) => joinOne(deps, session, one)));
  const broken = results.find((result) => result.status === "rejected");
  if (!broken) return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  for (const result of results) {
    if (result.status === "fulfilled" && isNew.has(result.value.name)) await dropChannel(deps, session, result.value.name);
  }
  throw broken.reason instanceof Failure ? broken.reason : new Failure({ code: "internal", detail: "Joining failed" }, broken.reason);
}

async function joinOne(deps: SubscribeDeps, session: Session, { name, since }: Asked): Promise<Joined> {
  const stream = channelStream(session, name);
  const held = session.holdsChannel(name);
  session.channels ??= new Members();
  session.channels.add(name); // before the first await: a session that ends meanwhile gives back what it holds
  let fan = held ? deps.hub.find(stream) : undefined;
  try {
    if (fan) deps.hub.hold(session, fan);
    else {
      [fan] = await Promise.all([deps.hub.join(session, stream), deps.directory.join(session, name)]);
      if (session.ended) deps.hub.leave(session, fan);
    }
    return { name, located: await deps.joining.locate(session, fan, since) };
  } catch (error) {
    if (!held) await dropChannel(deps, session, name);
    else if (fan) deps.hub.release(session, fan, NOWHERE); // it goes on as before
    throw error;
  }
}

/** Gives back what `joinOne` took, also when only a part of it was taken. */
async function dropChannel(deps: SubscribeDeps, session: Session, name: string): Promise<void> {
  const fan = deps.hub.find(channelStream(session, name));
  if (fan) deps.hub.leave(session, fan);
  if (!session.channels?.delete(name)) return;
  if (session.channels.size === 0) session.channels = undefined;
  await deps.directory.part(session, name);
}

/** Every name is confirmed, also those never held. */
export async function unsubscribe(deps: SubscribeDeps, session: Session, frame: ClientFrameOf<"Unsubscribe">): Promise<void> {
  const { channels } = frame.payload;
  for (const name of new Set(channels)) await dropChannel(deps, session, name);
  const id = frame.id === undefined ? {} : { id: frame.id };
  deps.flusher.reply(session, controlFrame({ type: "unsubscribed", payload: channels, ...id }));
}

/** One refusal for all bad names: what is wrong with the first, and how many more there are. */
function refusalOf(bad: readonly Bad[]): Refusal {
  const [first] = bad;
  const code = bad.every((one) => one.code === "forbidden") ? "forbidden" : "subscription_error";
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more refused)` : "";
  return { code, detail: `${first?.field.detail ?? "Refused"}${more}`, fields: bad.map(({ field }) => field) };
}
