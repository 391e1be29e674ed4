// Why: which Template stands behind a template's entry, and what the entry must be. An entry of the same uid and generation is
// right as it is, so that a start over 100,000 of them compiles none. It must never take content that is not at hand for a
// deletion.
import { templateEntryId } from "@nexus/protocol/bundle.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import { type AcceptedTenant, acceptTemplate, keyOfObject, type World } from "../../desired/acceptance.ts";
import { isRefused, templateEntry } from "../../desired/bundle.ts";
import type { BundleBook } from "../push-book.ts";
import type { Mark } from "../push-bucket.ts";
import type { TemplateBodies } from "../template-bodies.ts";
import type { TemplateIndex } from "../template-index.ts";
import type { Views } from "../views.ts";
import type { Draft } from "./draft.ts";
import type { Notes } from "./notes.ts";
import type { WorkItem } from "./work.ts";

export type TemplateDeps = {
  readonly views: Views;
  readonly world: World;
  readonly bodies: TemplateBodies;
  readonly notes: Notes;
  readonly book: BundleBook;
  /** The bundle was made by an operator that saw more than this one. */
  readonly seesLess: () => boolean;
};

const PREFIX = "template:";
export const isTemplateKey = (key: string): boolean => key.startsWith(PREFIX);
export const templateKey = (tenantId: string, templateId: string): string => `${PREFIX}${templateEntryId(tenantId, templateId)}`;

/** Neither id holds a slash. */
export function idsOf(key: string): { readonly tenantId: string; readonly templateId: string } {
  const at = key.indexOf("/");
  return { tenantId: key.slice(PREFIX.length, at), templateId: key.slice(at + 1) };
}

export class TemplateJudge {
  readonly #deps: TemplateDeps;
  /** Templates whose content has to be read, by object key, and the work they came with. */
  readonly unread = new Map<string, WorkItem>();

  constructor(deps: TemplateDeps) {
    this.#deps = deps;
  }

  /** `owner`: who has the tenant's id in this cluster, if anybody. */
  judge(item: WorkItem, owner: AcceptedTenant | undefined, draft: Draft): void {
    const { views, world, book } = this.#deps;
    let isClaimed = false;
    if (owner) {
      const { templateId } = idsOf(item.key);
      for (const index of views.templates.byIndex("id", `${keyOfObject(owner.tenant)}\n${templateId}`)) {
        if (acceptTemplate(index, world).ok) {
          isClaimed = true;
          this.#accepted(item, { index, owner, templateId }, draft);
        } else draft.wake("template", keyOfObject(index), item.isEdit ? "now" : "first");
      }
    }
    if (isClaimed || !book.mark(item.key)) return;
    // Out of sight is not gone.
    if (!item.isFound || !this.#deps.seesLess()) draft.gone.push(item.key);
  }

  /** Whether the entry is of the present version of the object that `owner` is accepted with. */
  isCurrent(entryKey: string, owner: AcceptedTenant | undefined, { uid, generation }: Mark): boolean {
    if (!owner) return false;
    const { views, world } = this.#deps;
    return views.templates
      .byIndex("id", `${keyOfObject(owner.tenant)}\n${idsOf(entryKey).templateId}`)
      .some((one) => one.metadata.uid === uid && (one.metadata.generation ?? 1) === generation && acceptTemplate(one, world).ok);
  }

  /** Content that was asked for, of the version the index has or a newer one. */
  read(template: Template, item: WorkItem, { owner, draft }: { readonly owner: AcceptedTenant | undefined; readonly draft: Draft }): void {
    const key = keyOfObject(template);
    const index = this.#deps.views.templates.get(key);
    if (!index || index.metadata.uid !== template.metadata.uid) return;
    if ((index.metadata.generation ?? 1) > (template.metadata.generation ?? 1)) return; // the watch brings it, or the next read
    this.unread.delete(key);
    if (!owner || !acceptTemplate(index, this.#deps.world).ok || index.isPaused) this.judge(item, owner, draft);
    else this.#compile(item, { template, owner, templateId: idsOf(item.key).templateId }, draft);
  }

  #accepted(item: WorkItem, found: Found, draft: Draft): void {
    const { bodies, notes, book } = this.#deps;
    const { index, owner, templateId } = found;
    const key = keyOfObject(index);
    const { uid = "", generation = 1 } = index.metadata;
    const mark = book.mark(item.key);
    if (index.isPaused) {
      draft.wake("template", key, item.isEdit ? "now" : "first");
      return;
    }
    if (!item.isForced && mark?.uid === uid && mark.generation === generation) {
      notes.drop("template", key);
      if (!this.unread.get(key)?.isForced) this.unread.delete(key); // the boot copy brought it meanwhile
      if (index.status === "settled") mark.acknowledged = true;
      else draft.wake("template", key, item.isEdit ? "now" : "first");
      return;
    }
    if (!item.isForced && notes.get("template", key, index.metadata)) {
      draft.wake("template", key, "first");
      return;
    }
    const template = bodies.take(key, index.metadata);
    if (template) this.#compile(item, { template, owner, templateId }, draft);
    else this.unread.set(key, item);
  }

  #compile(
    item: WorkItem,
    accepted: { readonly template: Template; readonly owner: AcceptedTenant; readonly templateId: string },
    draft: Draft,
  ): void {
    const { notes, book } = this.#deps;
    const { template } = accepted;
    const key = keyOfObject(template);
    const entry = templateEntry(accepted);
    if (isRefused(entry)) {
      notes.put("template", key, { version: template.metadata, result: { kind: "refused", refused: entry } });
      draft.wake("template", key, "now");
      return;
    }
    const wasRefused = notes.drop("template", key);
    if (book.mark(item.key)?.digest !== entry.digest) draft.put.push(entry);
    draft.wake("template", key, wasRefused ? "now" : item.isEdit ? "edited" : "put");
  }
}

type Found = { readonly index: TemplateIndex; readonly owner: AcceptedTenant; readonly templateId: string };
