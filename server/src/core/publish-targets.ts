// Why: what a publish can be aimed at, how many at once, and which streams that means.
// It must never look at content, and never let an illegal name become a stream.
import type { FieldError, Refusal } from "@nexus/protocol/failures.ts";
import type { Audience } from "@nexus/protocol/frames.ts";
import { CHANNEL_RULE, isChannelName, isUserId, USER_RULE } from "@nexus/protocol/names.ts";
import { MAX_TARGET_CHANNELS, MAX_TARGET_USERS } from "@nexus/protocol/rest/content.ts";
import { audienceError } from "./audience.ts";
import type { StreamId } from "./ports.ts";

export type PublishTarget =
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "channel"; readonly channel: string }
  | { readonly kind: "broadcast"; readonly audience?: Audience };

/** Several at once, in the caller's order; a name said twice counts once, an empty list reaches nobody. */
export type PublishTargets =
  | { readonly kind: "users"; readonly users: readonly string[] }
  | { readonly kind: "channels"; readonly channels: readonly string[] };

export function streamOf(tenant: string, target: PublishTarget): StreamId {
  switch (target.kind) {
    case "user":
      return { kind: "inbox", tenant, user: target.user };
    case "channel":
      return { kind: "channel", tenant, channel: target.channel };
    case "broadcast":
      return { kind: "broadcast", tenant };
    default:
      return target satisfies never;
  }
}

/** The streams of several targets, by name, each once. */
export function streamsOf(tenant: string, targets: PublishTargets): ReadonlyMap<string, StreamId> {
  return targets.kind === "users"
    ? new Map(targets.users.map((user) => [user, { kind: "inbox", tenant, user }]))
    : new Map(targets.channels.map((channel) => [channel, { kind: "channel", tenant, channel }]));
}

/** What is wrong with a target. Pointers are those of the REST bodies. */
export function targetError(target: PublishTarget): FieldError | undefined {
  if (target.kind === "user") return isUserId(target.user) ? undefined : { pointer: "/target_user_id", detail: USER_RULE };
  if (target.kind === "channel") return isChannelName(target.channel) ? undefined : { pointer: "/channel", detail: CHANNEL_RULE };
  return target.audience ? audienceError(target.audience) : undefined;
}

/** At most this many wrong names of one list are told. */
const MAX_ERRORS = 16;

/** The wrong names of a list, at `<pointer>/<index>`. */
export function targetsErrors(targets: PublishTargets, pointer: string): readonly FieldError[] {
  const [names, isLegal, detail] =
    targets.kind === "users" ? [targets.users, isUserId, USER_RULE] : [targets.channels, isChannelName, CHANNEL_RULE];
  const errors: FieldError[] = [];
  for (const [index, name] of names.entries()) {
    if (errors.length >= MAX_ERRORS) break;
    if (!isLegal(name)) errors.push({ pointer: `${pointer}/${index}`, detail });
  }
  return errors;
}

/** `limit_exceeded` for more targets than one publish may have, doubles included. */
export function tooManyTargets(targets: PublishTargets): Refusal | undefined {
  const [count, limit, noun] =
    targets.kind === "users"
      ? [targets.users.length, MAX_TARGET_USERS, "users"]
      : [targets.channels.length, MAX_TARGET_CHANNELS, "channels"];
  return count > limit ? { code: "limit_exceeded", detail: `One publish may name ${limit} ${noun}` } : undefined;
}

export const wrongTarget = (fields: readonly FieldError[]): Refusal => ({
  code: "validation_error",
  detail: "The target does not match the contract",
  fields,
});
