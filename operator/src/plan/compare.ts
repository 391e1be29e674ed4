// Why: deciding whether a live object already is what we rendered, without asking the API server: a restart of the
// operator must write nothing. Only rendered leaves count; what the server defaulted or others added is left alone. It
// must never carry values in its answer: they may be secrets.

import { equalQuantities } from "@nexus/protocol/resources/quantity.ts";
import { entryKey, isIntOrString, isQuantity, isSet, isToldList, keyRule } from "./list-types.ts";
import { appliedFields, childNode, type FieldNode, hasValue, managersOf } from "./managed-fields.ts";
import type { KubeObject, ManagedFieldsEntry } from "./object.ts";
import { type Path, pathText } from "./path.ts";

/**
 * One rendered leaf that the live object does not have. `path` reads like `spec.template.spec.containers[name=server].image`.
 * `missing`: not there; `value`: another value; `ownership`: equal, but no longer managed by us, so that it would stay
 * when we stop rendering it. `managers`: who owns that path now, our own manager left out.
 */
export type Difference = {
  readonly path: string;
  readonly kind: "missing" | "value" | "ownership";
  readonly managers: readonly string[];
};

/** A container, initContainer, volume or env entry that we did not render. */
export type ForeignEntry = { readonly path: string; readonly managers: readonly string[] };

export type Comparison = { readonly differences: readonly Difference[]; readonly foreign: readonly ForeignEntry[] };

/** What the API server decides about an object, or takes from its address: never compared. */
const ADDRESS = new Set(["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"]);

/**
 * Compares a rendering with the live object. Ownership is judged when `live` carries managedFields, and not otherwise.
 * @param manager our field manager
 */
export function compare(desired: KubeObject, live: KubeObject, manager: string): Comparison {
  const entries = live.metadata.managedFields;
  const walk = new Walk(entries, manager);
  const node: Owned = entries ? appliedFields(entries, manager) : "unknown";
  for (const [name, value] of Object.entries(desired)) {
    if (name === "apiVersion" || name === "kind" || name === "metadata" || name === "status") continue;
    walk.value({ path: [name], desired: value, live: Reflect.get(live, name), owned: below(node, name) });
  }
  for (const [name, value] of Object.entries(desired.metadata)) {
    if (ADDRESS.has(name)) continue;
    walk.value({
      path: ["metadata", name],
      desired: value,
      live: Reflect.get(live.metadata, name),
      owned: below(below(node, "metadata"), name),
    });
  }
  return { differences: walk.differences, foreign: walk.foreign };
}

type Owned = FieldNode | "unknown";
type Step = { readonly path: Path; readonly desired: unknown; readonly live: unknown; readonly owned: Owned };

const below = (owned: Owned, segment: Path[number]): Owned => (owned === "unknown" ? owned : childNode(owned, segment));

class Walk {
  readonly differences: Difference[] = [];
  readonly foreign: ForeignEntry[] = [];
  readonly #entries: readonly ManagedFieldsEntry[] | undefined;
  readonly #manager: string;

  constructor(entries: readonly ManagedFieldsEntry[] | undefined, manager: string) {
    this.#entries = entries;
    this.#manager = manager;
  }

  value(step: Step): void {
    const { path, desired, live, owned } = step;
    if (desired === undefined || desired === null) return; // not rendered
    if (live === undefined || live === null) {
      // The server leaves out empty values. Still ours = it did; not ours = somebody removed the field.
      if (!isZero(desired) || owned === undefined) this.#differs(path, "missing");
    } else if (Array.isArray(desired)) this.#list({ ...step, desired });
    else if (typeof desired === "object") this.#map({ ...step, desired });
    else if (!equalScalars(path, desired, live)) this.#differs(path, "value");
    else if (owned === undefined) this.#differs(path, "ownership");
  }

  #map(step: Step & { readonly desired: object }): void {
    const { path, desired, live, owned } = step;
    if (typeof live !== "object" || Array.isArray(live)) {
      this.#differs(path, "value");
      return;
    }
    const members = Object.entries(desired);
    if (owned === undefined && members.length === 0) this.#differs(path, "ownership");
    for (const [name, value] of members) {
      const inside = [...path, name];
      this.value({ path: inside, desired: value, live: Reflect.get(live ?? {}, name), owned: below(owned, name) });
    }
  }

  #list(step: Step & { readonly desired: readonly unknown[] }): void {
    const { path, desired, live, owned } = step;
    if (!Array.isArray(live)) {
      this.#differs(path, "value");
      return;
    }
    if (isSet(path)) {
      for (const item of desired) {
        if (!live.includes(item)) this.#differs(path, "missing");
        else if (owned !== "unknown" && !hasValue(owned, item)) this.#differs(path, "ownership");
      }
      return;
    }
    const rule = keyRule(path, desired);
    if (rule) this.#keyed({ ...step, live }, rule);
    else if (live.length !== desired.length) this.#differs(path, "value");
    else if (owned === undefined) this.#differs(path, "ownership");
    // Inside an atomic list the server may still default; a change by others takes the whole list from us, seen above.
    else
      for (const [index, item] of desired.entries())
        this.value({ path: [...path, index], desired: item, live: live[index], owned: "unknown" });
  }

  #keyed(
    step: Step & { readonly desired: readonly unknown[]; readonly live: readonly unknown[] },
    rule: NonNullable<ReturnType<typeof keyRule>>,
  ): void {
    const { path, desired, live, owned } = step;
    const left = new Map(live.map((item) => [JSON.stringify(entryKey(rule, item)), item]));
    for (const item of desired) {
      const key = entryKey(rule, item);
      if (!key) {
        this.#differs(path, "value"); // our rendering lacks a key: the API server will say so
        continue;
      }
      const found = left.get(JSON.stringify(key));
      left.delete(JSON.stringify(key));
      const inside = [...path, { key }];
      if (found === undefined) this.#differs(inside, "missing");
      else this.value({ path: inside, desired: item, live: found, owned: below(owned, { key }) });
    }
    if (!isToldList(path)) return;
    for (const item of left.values()) {
      const key = entryKey(rule, item);
      const at = key ? [...path, { key }] : path;
      this.foreign.push({ path: pathText(at), managers: managersOf(this.#entries, at, this.#manager) });
    }
  }

  #differs(path: Path, kind: Difference["kind"]): void {
    this.differences.push({ path: pathText(path), kind, managers: managersOf(this.#entries, path, this.#manager) });
  }
}

/** Values the API server may leave out of its JSON (`omitempty`). */
function isZero(value: unknown): boolean {
  if (value === "" || value === 0 || value === false) return true;
  return typeof value === "object" && value !== null && Object.values(value).every((member) => member === undefined || member === null);
}

function equalScalars(path: Path, desired: unknown, live: unknown): boolean {
  if (desired === live) return true;
  const isText = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number";
  if (!isText(desired) || !isText(live)) return false;
  if (isQuantity(path)) return equalQuantities(desired, live);
  return isIntOrString(path) && String(desired) === String(live);
}
