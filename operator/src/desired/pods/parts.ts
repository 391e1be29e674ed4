// Why: what one feature adds to a server pod, so that each feature renders its own and the pod template only puts them together.

/** Entries for the server's container and the pod; names must be the feature's own. */
export type PodParts = {
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly mounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly: boolean }[];
  readonly volumes?: readonly { readonly name: string; readonly [source: string]: unknown }[];
};

export const readOnlyMount = (name: string, mountPath: string) => ({ name, mountPath, readOnly: true });
