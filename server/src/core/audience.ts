// Why: who of the listeners a broadcast is for. Engines count by it and nodes deliver by it, so that both agree.
// It must stay pure and cheap: it runs once per listener.

import type { FieldError } from "@nexus/protocol/failures.ts";
import type { Audience } from "@nexus/protocol/frames.ts";

/** A listener as an audience sees it. */
export type Listener = {
  readonly user: string;
  readonly roles: readonly string[];
  holdsChannel(channel: string): boolean;
};

/** The audience's values as a list; `value` may be one text or a list. */
export const audienceValues = (audience: Audience): readonly string[] =>
  audience.value === undefined ? [] : typeof audience.value === "string" ? [audience.value] : audience.value;

/** Whether `listener` is addressed. No audience, or type `All`, is everyone. */
export function isAddressed(audience: Audience | undefined, listener: Listener): boolean {
  if (!audience || audience.type === "All") return true;
  const values = audienceValues(audience);
  switch (audience.type) {
    case "Roles":
      return listener.roles.some((role) => values.includes(role));
    case "Users":
      return values.includes(listener.user);
    case "Channels":
      return values.some((channel) => listener.holdsChannel(channel));
    default:
      return audience.type satisfies never;
  }
}

/** What is wrong with an audience whose shape was already checked: everything but `All` names at least one value. */
export function audienceError(audience: Audience): FieldError | undefined {
  if (audience.type === "All" || audienceValues(audience).length > 0) return undefined;
  return { pointer: "/audience/value", detail: `names at least one value where type is ${audience.type}` };
}
