// Why: clients and checkers that others wrote in Python judge the server. They live in virtual environments in the cache,
// with exact versions from one list. It must never install into a Python of the machine, nor anything that is not pinned.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ensurePackages } from "../../test/support/apt.ts";
import { cachePath, withLock } from "./cache.ts";
import { run } from "./command.ts";

export const PYTHON_PINS = new URL("./python-packages.txt", import.meta.url).pathname;

/** The oldest Python the pinned packages run on. */
const OLDEST = [3, 10] as const;

export type PythonHome = { readonly ok: true; readonly python: string } | { readonly ok: false; readonly reason: string };

/**
 * A Python whose environment holds the named packages (each pinned in `python-packages.txt`, as is all they depend on).
 * Installed once with pip (seconds to a minute, told on stderr) and kept in the cache per list of packages, pins and
 * interpreter; processes that ask at the same time install once. A package's own programs lie beside `python`.
 * @param packages names as in the list
 * @returns the path of the interpreter, or why there can be none on this machine: a reason to skip a test with
 * @throws Error for a package that is not pinned: the list has to name it
 */
export async function pythonWith(packages: readonly string[]): Promise<PythonHome> {
  const pins = pinsOf(await readFile(PYTHON_PINS, "utf8"));
  const wanted = packages.map((name) => pinned(pins, name)).sort();
  const found = await findPython();
  if (!found.ok) return found;
  const key = new Bun.CryptoHasher("sha256")
    .update([found.version, found.python, ...wanted, "", ...pins.values()].join("\n"))
    .digest("hex");
  const folder = cachePath("python", `${packages[0] ?? "bare"}-${key.slice(0, 12)}`);
  const home = { ok: true, python: interpreterIn(folder) } as const;
  if (existsSync(marker(folder))) return home;
  const waiting = () => say("another process is installing Python packages, waiting for it");
  return await withLock(
    cachePath("python", "install.lock"),
    async () => {
      if (existsSync(marker(folder))) return home;
      const problem = (await install(found.python, folder, wanted)) ?? (await unpinned(folder, pins));
      if (problem === undefined) await Bun.write(marker(folder), `${wanted.join("\n")}\n`);
      return problem === undefined ? home : { ok: false, reason: problem };
    },
    waiting,
  );
}

/** `name==version` lines by name, spelled one way (PEP 503). */
export function pinsOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [nameOf(line), line]));
}

const nameOf = (line: string): string => (line.split("==")[0] ?? line).toLowerCase().replace(/[-_.]+/g, "-");

function pinned(pins: ReadonlyMap<string, string>, name: string): string {
  const pin = pins.get(nameOf(name));
  if (pin === undefined) throw new Error(`${name} is not pinned in scripts/host/python-packages.txt`);
  return pin;
}

type Found = { readonly ok: true; readonly python: string; readonly version: string } | { readonly ok: false; readonly reason: string };

/** The `python3` of the machine (on Debian it is installed when it may be), new enough and able to make environments. */
async function findPython(): Promise<Found> {
  if (!Bun.which("python3")) {
    const missing = await ensurePackages(["python3", "python3-venv"]);
    if (missing !== undefined) return { ok: false, reason: `needs python3: ${missing}` };
  }
  const probe = "import sys; print(sys.executable); print('.'.join(map(str, sys.version_info[:3])))";
  const { code, stdout, stderr } = await run(["python3", "-c", probe]);
  if (code !== 0) return { ok: false, reason: `python3 does not run: ${stderr.trim()}` };
  const [python = "", version = ""] = stdout.trim().split("\n");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    return { ok: false, reason: `needs Python ${OLDEST.join(".")} or newer, and python3 is ${version}` };
  }
  // Debian splits the module that puts pip into a new environment from Python itself.
  if ((await run([python, "-c", "import ensurepip, venv"])).code !== 0) {
    const missing = await ensurePackages(["python3-venv"]);
    if (missing !== undefined) return { ok: false, reason: `needs Python's venv and pip: ${missing}` };
  }
  return { ok: true, python, version };
}

/**
 * Makes the environment in its place, because its scripts hold its absolute path; the marker, written last, says
 * that it is whole.
 */
async function install(python: string, folder: string, wanted: readonly string[]): Promise<string | undefined> {
  say(`installing ${wanted.join(" ")} with pip into ${folder}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const made = await run([python, "-m", "venv", folder]);
  if (made.code !== 0) return `python3 -m venv failed: ${lastLines(made.stdout + made.stderr)}`;
  const pip = [interpreterIn(folder), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint", PYTHON_PINS];
  const got = await run([...pip, ...wanted]);
  if (got.code !== 0) return `pip could not install ${wanted.join(" ")}: ${lastLines(got.stderr)}`;
  return undefined;
}

/** What pip brought along although the list does not name it: another day it would bring another version. */
async function unpinned(folder: string, pins: ReadonlyMap<string, string>): Promise<string | undefined> {
  const { code, stdout, stderr } = await run([interpreterIn(folder), "-m", "pip", "--disable-pip-version-check", "freeze"]);
  if (code !== 0) return `pip freeze failed: ${lastLines(stderr)}`;
  const extra = stdout.split("\n").filter((line) => line.includes("==") && !pins.has(nameOf(line)));
  return extra.length === 0 ? undefined : `scripts/host/python-packages.txt does not pin ${extra.join(" ")}, which pip installed too`;
}

const marker = (folder: string) => join(folder, "nexus-installed");
const interpreterIn = (folder: string) =>
  process.platform === "win32" ? join(folder, "Scripts", "python.exe") : join(folder, "bin", "python");
const lastLines = (text: string) => text.trim().split("\n").slice(-3).join("; ");
const say = (text: string) => process.stderr.write(`nexus: ${text}\n`);
