// Why: 100,000 Templates as objects are half a gigabyte. What passes decide by is kept of each, and nothing of its content, which
// lives compiled and compressed in the bundle. It must never drop a status that still has something to say.
import type { Template, TemplateStatus } from "@nexus/protocol/resources/template.ts";
import { effectiveTemplateId, namespaceOf } from "../desired/acceptance.ts";
import { isSettledStatus } from "../status/settled.ts";
import { isPaused } from "./paused.ts";

/** `settled`: the status says that this generation is live on every pod, and nothing else; it can be written down from memory. */
export type IndexedStatus = "settled" | TemplateStatus | undefined;

/** A Template without its content. `metadata` has neither labels nor annotations. */
export type TemplateIndex = {
  readonly metadata: Template["metadata"];
  readonly spec: Pick<Template["spec"], "tenantRef" | "templateId">;
  readonly isPaused: boolean;
  readonly status: IndexedStatus;
};

/** Distinct texts and references that are remembered; they are few, so more than this is a stream of new ones. */
const MOST_SHARED = 50_000;

/** Makes index entries that share what many Templates have in common. */
export class TemplateIndexer {
  readonly #texts = new Map<string, string>();
  readonly #specs = new Map<string, TemplateIndex["spec"]>();

  index(template: Template): TemplateIndex {
    const { metadata, status } = template;
    const { name, uid, generation, resourceVersion, creationTimestamp, deletionTimestamp } = metadata;
    return {
      metadata: {
        name,
        namespace: this.#text(namespaceOf(template)),
        ...(uid === undefined ? {} : { uid }),
        ...(generation === undefined ? {} : { generation }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(creationTimestamp === undefined ? {} : { creationTimestamp: this.#text(creationTimestamp) }),
        ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      },
      spec: this.#spec(template),
      isPaused: isPaused(template),
      status: isSettledStatus(status, { generation: generation ?? 1, templateId: effectiveTemplateId(template) }) ? "settled" : status,
    };
  }

  #text(text: string): string {
    return shared(this.#texts, text, () => text);
  }

  #spec({ spec: { tenantRef, templateId } }: Template): TemplateIndex["spec"] {
    const plain = shared(this.#specs, `${tenantRef.namespace ?? ""}\n${tenantRef.name}`, () => ({ tenantRef }));
    return templateId === undefined ? plain : { tenantRef: plain.tenantRef, templateId };
  }
}

function shared<V>(known: Map<string, V>, key: string, make: () => V): V {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= MOST_SHARED) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}
