// Why: deciding whether a live object already is what we rendered, without asking the API server. (implemented below)
/** One rendered leaf that the live object does not have. `path` reads like `spec.template.spec.containers[name=server].image`. */
export type Difference = {
  readonly path: string;
  /** `missing`: not there; `value`: another value; `ownership`: equal, but no longer managed by us. */
  readonly kind: "missing" | "value" | "ownership";
};

/** An entry of an associative list that we did not render. */
export type ForeignEntry = { readonly path: string; readonly managers: readonly string[] };
