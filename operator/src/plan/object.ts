// Why: the shape of a Kubernetes object as it travels in JSON, for code that compares, queues or applies objects of any
// kind. client-node's classes do not fit: they hold dates and make `metadata` optional. No behaviour lives here.

/** `metadata.ownerReferences[]`. */
export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

/** `metadata.managedFields[]`; `fieldsV1` is the set encoding of structured-merge-diff (`f:`, `k:`, `v:`, `.`). */
export type ManagedFieldsEntry = {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly time?: string;
  readonly subresource?: string;
  readonly fieldsType?: string;
  readonly fieldsV1?: unknown;
};

/** Times are RFC 3339 strings, as in JSON. What the API server sets is optional here, because rendered objects lack it. */
export type ObjectMeta = {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
};

/** Any object of any kind. Kind-specific types extend it (`KubeObject & { spec: … }`). */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
};

/** An object as we render it: any further top-level field. */
export type Manifest = KubeObject & { readonly [field: string]: unknown };
