// Why: a custom kind of one version gains fields from release to release, and one that is not known is dropped in silence. What
// the API server publishes of itself says which are there; every account may read it, so this needs no right.
import type { Clock } from "../loop/clock.ts";
import type { Kind } from "../loop/kinds.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { Schemas } from "../loop/scaling/ports.ts";
import type { Transport } from "./transport.ts";

/** A release may be exchanged; what cannot be had is asked for again sooner. */
const KEEP_MS = 600_000;
const MISSING_MS = 30_000;
const TIMEOUT_MS = 30_000;

type Known = { readonly schema: unknown; readonly untilMs: number };

/** Reads the OpenAPI v3 document of a kind's group and version, and keeps the kind's part of it for ten minutes. */
export function createSchemas(transport: Transport, clock: Pick<Clock, "monotonicMs">): Schemas {
  const known = new Map<Kind, Known>();
  const schemaOf = async (kind: Kind): Promise<unknown> => {
    const kept = known.get(kind);
    if (kept && kept.untilMs > clock.monotonicMs()) return kept.schema;
    const schema = await readSchema(transport, kind);
    known.set(kind, { schema, untilMs: clock.monotonicMs() + (schema === undefined ? MISSING_MS : KEEP_MS) });
    return schema;
  };
  return {
    async hasField(kind, path) {
      let at = await schemaOf(kind);
      for (const name of path) at = member(member(at, "properties"), name);
      return at !== undefined;
    },
  };
}

/** The kind as OpenAPI v3 describes it; undefined when that is not published or cannot be had now. */
export async function readSchema(transport: Transport, { group, version, kind }: Kind): Promise<unknown> {
  try {
    const path = `/openapi/v3/apis/${group}/${version}`;
    const { body } = await transport.request({ method: "GET", path, timeoutMs: TIMEOUT_MS });
    const schemas = member(member(body, "components"), "schemas");
    return Object.values(typeof schemas === "object" && schemas !== null ? schemas : {}).find((schema) => {
      const kinds: unknown = member(schema, "x-kubernetes-group-version-kind");
      return Array.isArray(kinds) && kinds.some((one) => member(one, "group") === group && member(one, "kind") === kind);
    });
  } catch (error) {
    if (error instanceof KubeError) return undefined; // not published yet, or not to be had now
    throw error;
  }
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
