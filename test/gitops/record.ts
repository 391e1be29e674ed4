// Why: the states in Argo CD's testdata are real ones: with NEXUS_RECORD set, the control-plane test writes them from what it saw.
// It must never invent a state, nor a verdict: both come from others.
import { join } from "node:path";
import { stringify } from "yaml";
import { argoHealthOf } from "../support/wait-tools.ts";

export const CUSTOMIZATIONS = join(import.meta.dir, "../../examples/gitops/argocd/resource_customizations/nexus.dev");
export const OUR_KINDS = ["NexusCluster", "Tenant", "Template"] as const;

type Condition = { readonly type: string; readonly status: string };
export type State = {
  readonly kind: string;
  readonly metadata: { readonly generation: number };
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
};

const isTrue = ({ status }: State, type: string): boolean =>
  status?.conditions?.some((one) => one.type === type && one.status === "True") ?? false;
const isCurrent = ({ status, metadata }: State): boolean => status?.observedGeneration === metadata.generation;

/** The states every kind goes through, by the name of their file. */
export const STATES: Readonly<Record<string, (state: State) => boolean>> = {
  new: ({ status }) => status?.conditions === undefined,
  progressing: (one) => isCurrent(one) && isTrue(one, "Reconciling"),
  healthy: (one) => isCurrent(one) && isTrue(one, "Ready") && !isTrue(one, "Paused"),
  edited: (one) => one.status?.conditions !== undefined && !isCurrent(one) && !isTrue(one, "Paused"),
  degraded: (one) => isCurrent(one) && isTrue(one, "Stalled"),
  suspended: (one) => isTrue(one, "Paused"),
};

/** Writes testdata and health_test.yaml of each kind. @throws Error when a state was not seen */
export async function recordStates(seen: readonly State[]): Promise<void> {
  for (const kind of OUR_KINDS) {
    const folder = join(CUSTOMIZATIONS, kind);
    const tests: object[] = [];
    for (const [name, fits] of Object.entries(STATES)) {
      const found = seen.find((one) => one.kind === kind && fits(one));
      if (!found) throw new Error(`${kind} was never ${name}`);
      const state = withoutNoise(found);
      const [healthStatus] = await argoHealthOf(join(folder, "health.lua"), [state]);
      await Bun.write(join(folder, "testdata", `${name}.yaml`), stringify(state, { version: "1.1", lineWidth: 0 }));
      tests.push({ healthStatus, inputPath: `testdata/${name}.yaml` });
    }
    await Bun.write(join(folder, "health_test.yaml"), stringify({ tests }, { lineWidth: 0 }));
  }
}

/** Who wrote which field says nothing about health. */
function withoutNoise(state: State): object {
  const { managedFields: _, annotations: __, ...metadata } = state.metadata as State["metadata"] & Record<string, unknown>; // any object's
  return { ...state, metadata };
}
