// Why: the client promises to run on Node 22 and later, which not every machine has. One is taken from the machine, or from
// npm into the cache, with an exact version. It must never become a dependency of the project, nor run a package's scripts.
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { cachePath, withLock } from "../../scripts/host/cache.ts";
import { run } from "../../scripts/host/command.ts";

/** The oldest Node with a WebSocket of its own. */
const OLDEST_MAJOR = 22;
/** Of that line, so that the promise is tested at its edge. */
const VERSION = "22.23.3";

export type NodeHome = { readonly ok: true; readonly node: string } | { readonly ok: false; readonly reason: string };

/** A Node 22 of the cache, installed once (185 MB, seconds); where that cannot be, one of the machine that is new enough. */
export async function nodeRuntime(): Promise<NodeHome> {
  const name = `node-${process.platform}-${process.arch}`; // the runtime alone, as one package per machine
  const folder = cachePath("node", `${name}-${VERSION}`);
  const node = join(folder, "node_modules", name, "bin", "node");
  const reason = await withLock(cachePath("node", "install.lock"), async () =>
    existsSync(node) ? undefined : await install(folder, `${name}@${VERSION}`),
  );
  if (reason === undefined) return { ok: true, node };
  return (await nodeOfMachine()) ?? { ok: false, reason };
}

async function install(folder: string, wanted: string): Promise<string | undefined> {
  process.stderr.write(`nexus: installing ${wanted}\n`);
  await mkdir(folder, { recursive: true });
  await Bun.write(join(folder, "package.json"), "{}\n");
  const { code, stderr } = await run([process.execPath, "add", "--cwd", folder, "--ignore-scripts", "--exact", wanted]);
  if (code === 0) return undefined;
  await rm(folder, { recursive: true, force: true });
  return `${wanted} cannot be installed: ${stderr.trim().split("\n").at(-1)}`;
}

async function nodeOfMachine(): Promise<NodeHome | undefined> {
  const node = Bun.which("node");
  if (!node) return undefined;
  const { stdout } = await run([node, "--version"]);
  return Number(/^v(\d+)\./.exec(stdout)?.[1] ?? 0) >= OLDEST_MAJOR ? { ok: true, node } : undefined;
}
