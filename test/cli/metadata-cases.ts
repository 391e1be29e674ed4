// Why: one list of right and wrong metadata drives the offline check and the real API server, so that the two can be compared.

export type MetadataCase = { readonly name: string; readonly metadata: Record<string, unknown>; readonly bad?: string };

const named = (fields: Record<string, unknown> = {}) => ({ name: "meta", ...fields });

/** `bad` is the field a message has to name. */
export const METADATA_CASES: readonly MetadataCase[] = [
  {
    name: "labels and annotations",
    metadata: named({ labels: { "a.b/c": "D_e.f-1", empty: "" }, annotations: { "X.y/z": "free text: {}" } }),
  },
  { name: "labels that are null", metadata: named({ labels: null, annotations: null }) },
  { name: "a capital letter in the name", metadata: { name: "Meta" }, bad: "metadata.name" },
  { name: "an underscore in the name", metadata: { name: "me_ta" }, bad: "metadata.name" },
  { name: "a name that ends with a dash", metadata: { name: "meta-" }, bad: "metadata.name" },
  { name: "a label with a blank", metadata: named({ labels: { a: "b c" } }), bad: "metadata.labels" },
  { name: "a label of 64 characters", metadata: named({ labels: { a: "x".repeat(64) } }), bad: "metadata.labels" },
  { name: "a label key without a name", metadata: named({ labels: { "a.b/": "c" } }), bad: "metadata.labels" },
  { name: "a label key with a capital prefix", metadata: named({ labels: { "A.b/c": "d" } }), bad: "metadata.labels" },
  { name: "an annotation key with a blank", metadata: named({ annotations: { "a b": "c" } }), bad: "metadata.annotations" },
];

export const objectWith = (metadata: Record<string, unknown>) => ({
  apiVersion: "nexus.dev/v1alpha1",
  kind: "Tenant",
  metadata,
  spec: { clusterRef: { name: "c" } },
});
