// Why: an edit is live when it is saved. The kernel's notes are only hints (editors replace files, folders move, some mounts
// send none): what counts is whether names, sizes or times differ. It must never report a change that is none.
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { findFiles } from "../files/load.ts";

export type Watch = { close(): void };

/** A save is often several writes: wait until it has been quiet for so long. */
const QUIET_MS = 40;
const POLL_MS = 1000;

/**
 * Calls `onChange` after the files below `paths` changed; one call at a time, and one more if they changed meanwhile.
 * `since`: their fingerprint before they were read, so that no edit falls between reading and watching.
 */
export async function watchFiles(paths: readonly string[], since: string, onChange: () => Promise<void>): Promise<Watch> {
  let known = since;
  let isBusy = false;
  let isClosed = false;
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const look = async (): Promise<void> => {
    if (isBusy || isClosed) return;
    isBusy = true;
    try {
      for (let now = await fingerprint(paths); now !== known && !isClosed; now = await fingerprint(paths)) {
        await Bun.sleep(QUIET_MS); // an editor writes in several steps: only files that stay the same are read
        if ((await fingerprint(paths)) !== now) continue; // still being written
        known = now;
        await onChange();
      }
    } finally {
      isBusy = false;
    }
  };
  const hint = () => {
    clearTimeout(quiet);
    quiet = setTimeout(() => void look(), QUIET_MS);
  };
  const watchers = (await Promise.all(paths.map((path) => watchOne(path, hint)))).filter((one) => one !== undefined);
  hint();
  const poll = setInterval(() => void look(), POLL_MS);
  return {
    close() {
      isClosed = true;
      clearTimeout(quiet);
      clearInterval(poll);
      for (const one of watchers) one.close();
    },
  };
}

/** A file is watched through its folder, because editors replace it. Undefined where watching does not work: polling does. */
async function watchOne(path: string, hint: () => void): Promise<FSWatcher | undefined> {
  try {
    const folder = (await stat(path)).isDirectory() ? path : dirname(path);
    return watch(folder, { recursive: folder === path }, hint).on("error", hint);
  } catch {
    return undefined; // the poll sees what this would have
  }
}

/** Differs when a file came, went or was written. */
export async function fingerprint(paths: readonly string[]): Promise<string> {
  const { files } = await findFiles(paths).catch(() => ({ files: [] }));
  const facts = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file).catch(() => undefined);
      return found ? `${file} ${found.ino} ${found.size} ${found.mtimeMs}` : file;
    }),
  );
  return facts.join("\n");
}
