// Why: what an operator looks at may be smaller than what is in a boot copy: a namespace less, a selector more. Entries of what
// is not looked at any more are not deletions, so the scope they were seen in is written beside them. Pure.
import type { Scope } from "./ports.ts";

/** `namespaces` empty: all. `selector`: of our own three kinds, in Kubernetes' text form. */
export type WatchScope = { readonly namespaces: readonly string[]; readonly selector: string | undefined };

export const EVERYTHING: WatchScope = { namespaces: [], selector: undefined };

/** Where our own three kinds are listed. */
export function scopesOf({ namespaces, selector }: WatchScope): readonly Scope[] {
  const labelSelector = selector === undefined ? {} : { labelSelector: selector };
  return namespaces.length === 0 ? [labelSelector] : namespaces.map((namespace) => ({ namespace, ...labelSelector }));
}

/** As an annotation: `*`, or namespaces joined by commas; a semicolon and the selector when there is one. */
export function scopeText({ namespaces, selector }: WatchScope): string {
  const where = namespaces.length === 0 ? "*" : [...new Set(namespaces)].sort().join();
  return selector === undefined ? where : `${where};${selector}`;
}

/** Of an annotation; an absent one may have been any scope. */
export function scopeFromText(text: string | undefined): WatchScope {
  if (text === undefined) return EVERYTHING;
  const at = text.indexOf(";");
  const where = at < 0 ? text : text.slice(0, at);
  return { namespaces: where === "*" ? [] : where.split(","), selector: at < 0 ? undefined : text.slice(at + 1) };
}

/** Whether everything that `inner` shows is shown by `outer` too. Two different selectors are taken to show different things. */
export function covers(outer: WatchScope, inner: WatchScope): boolean {
  const hasSelector = outer.selector === undefined || outer.selector === inner.selector;
  if (!hasSelector || outer.namespaces.length === 0) return hasSelector;
  return inner.namespaces.length > 0 && inner.namespaces.every((namespace) => outer.namespaces.includes(namespace));
}

/** The smallest scope we can name that shows what either shows. */
export function union(a: WatchScope, b: WatchScope): WatchScope {
  const namespaces = a.namespaces.length === 0 || b.namespaces.length === 0 ? [] : [...new Set([...a.namespaces, ...b.namespaces])].sort();
  return { namespaces, selector: a.selector === b.selector ? a.selector : undefined };
}
