// Why: the content of Templates that have to be compiled is read here: few one by one, many by one walk over all. It must never
// hold more than a page, and never take what could not be read for gone.
import type { TemplateReader } from "../ports.ts";
import type { ClusterConfiguration } from "./cluster-configuration.ts";
import { Draft } from "./draft.ts";

/** So many are read one by one; or one in fifty of all, because a walk costs a page for each 500 Templates there are. */
const FEW = 64;
const ONE_IN = 50;
const READERS = 8;

export type ContentReader = TemplateReader;

/** Whether what the configuration waits for is read one by one. */
export const isFew = (configuration: ClusterConfiguration, reader: Pick<TemplateReader, "count">): boolean =>
  configuration.unread.size <= Math.max(FEW, reader.count() / ONE_IN);

/** Reads what the configuration waits for; `take` gets what each part came to. Rejects with `KubeError`. */
export async function readContent(
  configuration: ClusterConfiguration,
  reader: TemplateReader,
  take: (draft: Draft) => Promise<void>,
): Promise<void> {
  if (!isFew(configuration, reader)) {
    const waiting: Promise<void>[] = [];
    await reader.walk((templates) => {
      const draft = new Draft();
      configuration.read(templates, draft);
      waiting.push(take(draft));
    });
    await Promise.all(waiting);
  }
  // What is left came or changed during the walk, or is gone.
  const keys = [...configuration.unread.keys()].values();
  const one = async () => {
    for (const key of keys) {
      const template = await reader.get(key);
      const draft = new Draft();
      if (template) configuration.read([template], draft);
      else configuration.vanished(key);
      await take(draft);
    }
  };
  await Promise.all(Array.from({ length: READERS }, one));
}
