// Why: how a trace travels: W3C trace context in headers and fields, and one short text beside what is stored. What
// strangers send is checked here and bounded. It must never throw for what somebody wrote, nor carry a value on unchecked.

/** Where a span belongs. `traceId`: 32 lower-case hex digits, `spanId`: 16. `state`: a `tracestate`, at most {@link MAX_STATE} characters. */
export type SpanContext = { readonly traceId: string; readonly spanId: string; readonly state?: string };

/** What somebody else's `traceparent` said. `isSampled`: they record this trace. */
export type RemoteContext = SpanContext & { readonly isSampled: boolean };

/** As it came: header values, or fields of a trigger or a frame. */
export type RemoteParent = { readonly traceparent: string; readonly tracestate?: string | undefined };

/** What of a `tracestate` is carried on, in characters; the standard asks for 512 at least. */
export const MAX_STATE = 512;
/** The standard's most members. */
const MAX_MEMBERS = 32;

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
const MAX_PARENT = 256;
const MEMBER = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/**
 * W3C Trace Context, sections 3.2 and 4.3: version 00 has exactly four parts, a later one may have more. Undefined for what
 * is no parent; a bad `tracestate` is dropped and the parent stays.
 */
export function parseRemote({ traceparent, tracestate }: RemoteParent): RemoteContext | undefined {
  const found = traceparent.length <= MAX_PARENT ? PARENT.exec(traceparent) : null;
  if (!found) return undefined;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = found;
  if (version === "ff" || (version === "00" && more !== undefined) || traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  const state = tracestate === undefined ? undefined : checkedState(tracestate);
  return state === undefined ? { traceId, spanId, isSampled } : { traceId, spanId, isSampled, state };
}

/** Members from the left, as many as fit; undefined when one is none, for then nobody knows what the rest means. */
function checkedState(text: string): string | undefined {
  if (text.length > MAX_STATE * 4) return undefined;
  const members = text
    .split(",")
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((member) => member !== "");
  if (members.length > MAX_MEMBERS || !members.every((member) => MEMBER.test(member))) return undefined;
  let state = "";
  for (const member of members) {
    const next = state === "" ? member : `${state},${member}`;
    if (next.length > MAX_STATE) break;
    state = next;
  }
  return state === "" ? undefined : state;
}

/** The `traceparent` of a span that is recorded. */
export const traceparentOf = ({ traceId, spanId }: SpanContext): string => `00-${traceId}-${spanId}-01`;

/** One text for stores and announcements: the `traceparent`, and after a space the `tracestate`. Only of recorded traces. */
export function carry(context: SpanContext): string {
  const parent = traceparentOf(context);
  return context.state === undefined ? parent : `${parent} ${context.state}`;
}

/** What {@link carry} wrote, perhaps in another release; undefined when it is not that, or of a trace nobody records. */
export function carried(text: string): SpanContext | undefined {
  const space = text.indexOf(" ");
  const remote = parseRemote(space < 0 ? { traceparent: text } : { traceparent: text.slice(0, space), tracestate: text.slice(space + 1) });
  if (!remote?.isSampled) return undefined;
  const { traceId, spanId, state } = remote;
  return state === undefined ? { traceId, spanId } : { traceId, spanId, state };
}
