// Why: a list of 100,000 objects is read in pages of one consistent snapshot, each let go before the next is asked for.
// It must never end early in silence: a caller that counts what is missing as deleted would delete a fleet.
import type { Clock, Random } from "../loop/clock.ts";
import { sleep } from "../loop/clock.ts";
import type { Kind } from "../loop/kinds.ts";
import { isExpired, KubeError } from "../loop/kube-error.ts";
import type { Page, Scope } from "../loop/ports.ts";
import type { KubeObject } from "../plan/object.ts";
import { collectionPath, scopeQuery, withQuery } from "./paths.ts";
import type { Transport } from "./transport.ts";

export const PAGE_SIZE = 500;
/** A server that compacts faster than we read gets larger pages, in the end the whole list at once. */
const RESTARTS = 4;
const PAGE_TIMEOUT_MS = 60_000;

export type PageReader<T> = {
  /** One page; `remaining` is the server's estimate of what follows. */
  page(page: Page<T>): void;
  /** The snapshot expired (410): forget what this list brought so far, it starts again with a new snapshot. */
  restarted(): void;
};

export type ListOptions = {
  readonly scope: Scope;
  readonly signal?: AbortSignal | undefined;
  /** Another form of the answer than whole objects. */
  readonly accept?: string;
  readonly clock: Clock;
  readonly random: Random;
};

/**
 * Reads a whole list. Resolves with the snapshot's resourceVersion only after the last page; rejects with `KubeError`
 * otherwise, also with 410 when the snapshot expired too often.
 */
export async function readPages<T extends KubeObject>(
  transport: Transport,
  kind: Kind,
  options: ListOptions,
  reader: PageReader<T>,
): Promise<string> {
  for (let restart = 0; ; restart++) {
    try {
      return await readSnapshot(transport, kind, options, { reader, limit: restart < RESTARTS ? PAGE_SIZE * 2 ** restart : undefined });
    } catch (error) {
      if (!isExpired(error) || restart >= RESTARTS) throw error;
      reader.restarted();
      if (!(await sleep(options.clock, 100 * (restart + options.random()), options.signal))) throw error;
    }
  }
}

async function readSnapshot<T extends KubeObject>(
  transport: Transport,
  kind: Kind,
  options: ListOptions,
  how: { readonly reader: PageReader<T>; readonly limit: number | undefined },
): Promise<string> {
  for (let token: string | undefined; ; ) {
    const query = { ...scopeQuery(options.scope), limit: how.limit, continue: token };
    const answer = await transport.request({
      method: "GET",
      path: withQuery(collectionPath(kind, options.scope.namespace), query),
      timeoutMs: PAGE_TIMEOUT_MS,
      ...(options.accept === undefined ? {} : { accept: options.accept }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const page = decodePage<T>(kind, answer.body);
    how.reader.page(page);
    if (page.next === undefined) return page.resourceVersion;
    token = page.next;
  }
}

/** Items of a list carry neither apiVersion nor kind on the wire; they are put back. */
function decodePage<T extends KubeObject>(kind: Kind, body: unknown): Page<T> & { readonly next: string | undefined } {
  // Checked below; the items themselves are trusted, the API server validated them.
  const list = body as { items?: unknown; metadata?: { resourceVersion?: unknown; continue?: unknown; remainingItemCount?: unknown } };
  const resourceVersion = list?.metadata?.resourceVersion;
  const found = list?.items === null ? [] : list?.items; // heads of nothing at all
  if (!Array.isArray(found) || typeof resourceVersion !== "string" || resourceVersion === "") {
    throw new KubeError({ status: 0, reason: "Malformed", message: `list of ${kind.resource}: the answer is not a list` });
  }
  const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
  const items = found.map((item: object) => ({ apiVersion, kind: kind.kind, ...item }) as T);
  const next = list.metadata?.continue;
  const remaining = list.metadata?.remainingItemCount;
  return {
    items,
    resourceVersion,
    next: typeof next === "string" && next !== "" ? next : undefined,
    ...(typeof remaining === "number" ? { remaining } : {}),
  };
}
