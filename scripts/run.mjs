// Why: the one entry that needs nothing but Node and npm. It fetches the pinned Bun through npm, installs the
// workspace, and hands over to Bun. It must stay plain JavaScript with no dependency, and never touch the machine
// outside its cache folder and node_modules.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cacheDir = process.env.NEXUS_CACHE_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "nexus");

const TASKS = {
  start: ["cli/src/main.ts", "dev"], // examples/quickstart unless folders are named
  test: ["scripts/test.ts"],
  "test:fast": ["scripts/test.ts", "--fast"],
  "test:nightly": ["scripts/test.ts", "--nightly"],
  check: ["scripts/check.ts"],
  format: ["node_modules/@biomejs/biome/bin/biome", "check", "--write", "."],
  generate: ["scripts/generate.ts"],
  image: ["scripts/image.ts"],
  bench: ["test/bench/main.ts"],
  "bench:operator": ["test/bench/operator.ts"],
  soak: ["test/soak/main.ts"],
  nexus: ["cli/src/main.ts"],
  bun: [],
};

const say = (text) => process.stderr.write(`nexus: ${text}\n`);

/** The `bun` binary inside a folder that npm installed, or undefined; the platform package holds the real file. */
function bunIn(folder) {
  const scope = join(folder, "node_modules", "@oven");
  if (!existsSync(scope)) return undefined;
  for (const name of readdirSync(scope).sort()) {
    for (const file of ["bun", "bun.exe"]) {
      const path = join(scope, name, "bin", file);
      if (existsSync(path) && runs(path)) return path;
    }
  }
  return undefined;
}

/** A binary for another libc or a newer CPU than this one is installed beside the right one: only a run tells. */
function runs(path) {
  try {
    execFileSync(path, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Installs the pinned Bun into the cache (atomic: a second process may do the same at once). */
function ensureBun() {
  const pin = readFileSync(join(root, "scripts/bun/package-lock.json"));
  const folder = join(cacheDir, `bun-${createHash("sha256").update(pin).digest("hex").slice(0, 12)}`);
  const found = bunIn(folder);
  if (found) return found;
  const version = JSON.parse(readFileSync(join(root, "scripts/bun/package.json"), "utf8")).dependencies.bun;
  say(`installing Bun ${version} from npm into ${folder}`);
  mkdirSync(cacheDir, { recursive: true });
  const temporary = mkdtempSync(join(cacheDir, "bun-new-"));
  try {
    cpSync(join(root, "scripts/bun"), temporary, { recursive: true });
    // No postinstall: it only copies the platform binary, which is called directly.
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: temporary,
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32",
    });
    if (!bunIn(temporary)) throw new Error(`npm installed no Bun that runs on ${process.platform}/${process.arch}`);
    try {
      renameSync(temporary, folder);
    } catch (error) {
      if (!bunIn(folder)) throw error; // another process was first: its folder is as good
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return bunIn(folder);
}

/** Installs the workspace when bun.lock changed since the last install. */
function ensureWorkspace(bun) {
  const stamp = join(root, "node_modules", ".nexus-lock");
  const digest = createHash("sha256")
    .update(readFileSync(join(root, "bun.lock")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  say("installing packages");
  execFileSync(bun, ["install", "--frozen-lockfile", "--silent"], { cwd: root, stdio: ["ignore", 2, 2] });
  writeFileSync(stamp, digest);
}

function main() {
  const [name = "", ...rest] = process.argv.slice(2);
  const task = TASKS[name];
  if (!task) {
    say(`unknown task "${name}"; one of ${Object.keys(TASKS).join(", ")}`);
    return process.exit(2);
  }
  const bun = ensureBun();
  ensureWorkspace(bun);
  const env = { ...process.env, NEXUS_BUN: bun, PATH: `${dirname(bun)}${delimiter}${process.env.PATH ?? ""}` };
  const [script, ...words] = task;
  const command = script === undefined ? rest : ["--no-env-file", join(root, script), ...words, ...rest];
  const child = spawn(bun, command, { cwd: root, env, stdio: "inherit" });
  // A terminal sends Ctrl-C to the whole group: the child has it already, and a second one means "at once".
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 143);
  });
}

main();
