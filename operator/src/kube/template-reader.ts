// Why: what the index leaves out of Templates is read from the API server when it is needed: one by GET, many by a walk over
// pages that are let go one after the other. It must never hold two pages at once.
import type { Template } from "@nexus/protocol/resources/template.ts";
import { systemClock } from "../loop/clock.ts";
import { KINDS } from "../loop/kinds.ts";
import type { KubeApi, Scope, TemplateReader } from "../loop/ports.ts";
import type { KubeObject } from "../plan/object.ts";
import { complete } from "./complete.ts";
import { readPages } from "./pages.ts";
import type { Transport } from "./transport.ts";

export type TemplateReaderOptions = {
  readonly transport: Transport;
  readonly api: Pick<KubeApi, "get">;
  /** Where our kinds are watched. */
  readonly scopes: readonly Scope[];
  readonly count: () => number;
};

export function createTemplateReader({ transport, api, scopes, count }: TemplateReaderOptions): TemplateReader {
  return {
    count,
    async get(key) {
      const at = key.indexOf("/");
      const found = await api.get<KubeObject>({ kind: KINDS.Template, namespace: key.slice(0, at), name: key.slice(at + 1) });
      return found && complete<Template>(found);
    },
    async walk(page) {
      for (const scope of scopes) {
        const options = { scope, clock: systemClock, random: Math.random };
        await readPages<KubeObject>(transport, KINDS.Template, options, {
          page: ({ items }) => page(items.map((item) => complete<Template>(item))),
          restarted: () => undefined, // what came before it was true, and comes again
        });
      }
    },
  };
}
