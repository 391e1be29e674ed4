// Why: Helm and people upgrade an operator without its CRDs. Then fields of this release are dropped by the API server before
// anybody sees them, so the operator looks what is served and says which fields are lost. It reads what the API server publishes
// of itself, which every account may, and works on with what there is: it must never stop because of it.
import { SCHEMAS } from "@nexus/protocol/resources/schema.ts";
import { Type } from "@sinclair/typebox";
import type { Clock } from "../loop/clock.ts";
import { KINDS } from "../loop/kinds.ts";
import { missingFields } from "../plan/served-fields.ts";

/** Fields of this release that the API server would drop; empty: its definitions are ours or newer. */
export type ServedCrd = { readonly kind: keyof typeof SCHEMAS; readonly missing: readonly string[] };

export type ServedCrdOptions = {
  /** The published schema of a kind; undefined when it cannot be had now. */
  readonly read: (kind: (typeof KINDS)[keyof typeof SCHEMAS]) => Promise<unknown>;
  readonly clock: Clock;
  /** A kind is judged for the first time, or otherwise than before. */
  readonly onChange: (seen: ServedCrd) => void;
};

/** An upgrade of the definitions is noticed this late, and a schema that is not published yet asked for again. */
const PERIOD_MS = 600_000;
const UNPUBLISHED_MS = 10_000;

/** Fields of this release that a served schema does not have. Pure. */
export function missingOf(kind: ServedCrd["kind"], served: unknown): readonly string[] {
  const { spec, status } = SCHEMAS[kind];
  return missingFields(Type.Object({ spec, status }), served, "").map((path) => path.slice(1));
}

/** Looks at once, then every ten minutes. Never rejects. */
export function watchServedCrds({ read, clock, onChange }: ServedCrdOptions): { stop(): void } {
  const said = new Map<string, string>();
  let isStopped = false;
  let cancel: (() => void) | undefined;
  const look = async () => {
    let unpublished = 0;
    for (const kind of ["NexusCluster", "Tenant", "Template"] as const) {
      const served = await read(KINDS[kind]);
      if (isStopped) return;
      if (served === undefined) unpublished++;
      else judge(kind, served);
    }
    cancel = clock.after(unpublished > 0 ? UNPUBLISHED_MS : PERIOD_MS, () => void look());
  };
  const judge = (kind: ServedCrd["kind"], served: unknown) => {
    const missing = missingOf(kind, served);
    if (said.get(kind) === missing.join()) return;
    said.set(kind, missing.join());
    onChange({ kind, missing });
  };
  void look();
  return {
    stop() {
      isStopped = true;
      cancel?.();
    },
  };
}
