// Why: expensive results (compiled Kubernetes, packed images) outlive a checkout, so they live outside the tree. One
// place names that folder and guards it between processes. It must never be used for state of a running test.
import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The cache folder, or a path inside it: `$NEXUS_CACHE_DIR`, else `$XDG_CACHE_HOME/nexus`, else `~/.cache/nexus`. */
export function cachePath(...parts: readonly string[]): string {
  const root = process.env.NEXUS_CACHE_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "nexus");
  return join(root, ...parts);
}

/**
 * Runs `work` while no other process (and no other caller in this one) holds the lock at `path`. The lock is SQLite's
 * own lock on an empty database, which the kernel drops with the process: a crash leaves nothing to break open.
 * @param onWait called once when somebody else holds it, before waiting; waiting has no limit
 */
export async function withLock<T>(path: string, work: () => Promise<T>, onWait: () => void = () => undefined): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  using lock = new Database(path, { create: true });
  // A lock of another process tells nobody when it is free: it is tried again.
  for (let told = false; !acquired(lock); await Bun.sleep(100)) {
    if (!told) onWait();
    told = true;
  }
  return await work();
}

function acquired(lock: Database): boolean {
  try {
    lock.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return false;
    throw error;
  }
}
