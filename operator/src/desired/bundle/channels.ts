// Why: what a schema cannot say about channel rules. Pure; answers one sentence that names the field.
import { CHANNEL_RULE, isChannelName } from "@nexus/protocol/names.ts";
import type { ChannelRule } from "@nexus/protocol/resources/settings.ts";

/** The rule that gives a tenant's broadcast a history. */
const BROADCAST = "@broadcast";

/** Undefined when every rule's `match` is a channel name, a prefix of one followed by `*`, or `@broadcast`. */
export function channelsComplaint(rules: readonly ChannelRule[]): string | undefined {
  for (const [at, { match }] of rules.entries()) {
    const prefix = match.endsWith("*") ? match.slice(0, -1) : match;
    if (match === "*" || match === BROADCAST || isChannelName(prefix)) continue;
    return `spec.channels[${at}].match must be a channel name (${CHANNEL_RULE}), a prefix of one followed by "*", or "${BROADCAST}"`;
  }
  return undefined;
}
