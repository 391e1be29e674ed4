// Why: the last warning about an object is often the whole answer.
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Connection } from "../kube/connect.ts";

export type SeenEvent = KubeObject & {
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly eventTime?: string | null;
  readonly deprecatedLastTimestamp?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
  readonly regarding?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
};

/** When it happened last, RFC 3339; objects say it in one of four places. */
export const eventTime = ({ series, deprecatedLastTimestamp, eventTime: at, metadata }: SeenEvent): string =>
  series?.lastObservedTime ?? deprecatedLastTimestamp ?? at ?? metadata.creationTimestamp ?? "";

/** `Reason: words` of the latest warning about an object; undefined when there is none, or one may not look. */
export async function latestWarning({ api }: Connection, about: KubeObject): Promise<string | undefined> {
  const { namespace, name } = about.metadata;
  try {
    const scope = { ...(namespace === undefined ? {} : { namespace }), fieldSelector: `regarding.name=${name}` };
    const { items } = await api.list<SeenEvent>(KINDS.Event, scope);
    const warnings = items.filter(({ type, regarding }) => type === "Warning" && (regarding?.kind ?? about.kind) === about.kind);
    const last = warnings.sort((a, b) => (eventTime(a) < eventTime(b) ? 1 : -1))[0];
    return last && `${last.reason}: ${(last.note ?? "").slice(0, 300)}`;
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}
