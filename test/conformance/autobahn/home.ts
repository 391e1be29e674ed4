// Why: Autobahn|Testsuite, the yardstick of WebSocket implementations, still needs Python 2.7. Where a machine has one, this
// installs the suite's pinned packages into the cache. It must never install a Python, nor anything that is not pinned.
import { existsSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";
import { cachePath, withLock } from "../../../scripts/host/cache.ts";
import { run } from "../../../scripts/host/command.ts";

const PINS = join(import.meta.dir, "packages.txt");

/** `packages` is the folder that `launch.py` wants. */
export type AutobahnHome =
  | { readonly ok: true; readonly python: string; readonly packages: string }
  | { readonly ok: false; readonly reason: string };

/**
 * The suite, installed at first use (seconds to a minute; one package is compiled) and kept in the cache per list of pins.
 * @returns why there can be none on this machine, else what to run
 */
export async function autobahnHome(): Promise<AutobahnHome> {
  const python = await findPython2();
  if (python === undefined) return { ok: false, reason: "Autobahn|Testsuite needs Python 2.7 with pip (python2.7 on PATH, or pyenv's)" };
  const key = new Bun.CryptoHasher("sha256").update(`${python}\n${await readFile(PINS, "utf8")}`).digest("hex");
  const packages = cachePath("python", `autobahn-${key.slice(0, 12)}`);
  const home = { ok: true, python, packages } as const;
  return await withLock(cachePath("python", "install.lock"), async () => {
    if (existsSync(marker(packages))) return home;
    const problem = await install(python, packages);
    return problem === undefined ? home : { ok: false, reason: problem };
  });
}

async function findPython2(): Promise<string | undefined> {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions");
  const others = existsSync(pyenv) ? [...new Glob("2.7*/bin/python2.7").scanSync({ cwd: pyenv, onlyFiles: false })] : [];
  const candidates = [Bun.which("python2.7"), ...others.sort().map((path) => join(pyenv, path))];
  for (const candidate of candidates) {
    // pyenv puts a program of this name on PATH that refuses to run until a version is chosen.
    if (candidate && (await run([candidate, "-m", "pip", "--version"])).code === 0) return candidate;
  }
  return undefined;
}

async function install(python: string, packages: string): Promise<string | undefined> {
  process.stderr.write("nexus: installing Autobahn|Testsuite\n");
  rmSync(packages, { recursive: true, force: true }); // what an interrupted installation left
  const quiet = ["--disable-pip-version-check", "--quiet"];
  const { code, stderr } = await run([python, "-m", "pip", "install", ...quiet, "--no-deps", "--target", packages, "--requirement", PINS]);
  if (code !== 0) return `pip could not install Autobahn|Testsuite: ${stderr.trim().split("\n").slice(-3).join("; ")}`;
  await Bun.write(marker(packages), "");
  return undefined;
}

const marker = (packages: string) => join(packages, "nexus-installed");
