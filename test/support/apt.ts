// Why: some tiers need Debian packages (containerd, a browser). On a machine that is ours to change, as CI's is, they are
// installed; anywhere else the user is told which. It must never ask a question or touch an installed package.
import { run } from "../../scripts/host/command.ts";

/** `apt-get` waits this long for another package manager to finish. */
const LOCK_TIMEOUT_SECONDS = 120;

/**
 * Makes sure these Debian packages are installed. As root with apt-get, missing ones are installed (progress on stderr).
 * @returns undefined when all are there; else a sentence that names what is missing and what to do
 */
export async function ensurePackages(names: readonly string[]): Promise<string | undefined> {
  if (names.length === 0) return undefined;
  if (!Bun.which("dpkg-query")) return `needs the Debian packages ${names.join(" ")}, and this is no Debian system`;
  const missing = await missingPackages(names);
  if (missing.length === 0) return undefined;
  const advice = `missing Debian packages: sudo apt-get install --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !Bun.which("apt-get")) return advice;
  say(`installing Debian packages ${missing.join(" ")}`);
  const failure = await install(missing);
  return failure === undefined ? undefined : `${advice} (apt-get failed: ${failure})`;
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  // dpkg-query fails when it does not know one of the names, and still lists the others.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const { stdout } = await run(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", ...names]);
  const installed = new Set(stdout.split("\n").flatMap((line) => (line.endsWith(" installed") ? [line.split(" ")[0]] : [])));
  return names.filter((name) => !installed.has(name));
}

/** Installs from the known package lists; when those are missing or old, fetches them once and tries again. */
async function install(names: readonly string[]): Promise<string | undefined> {
  if ((await aptGet(["install", "--no-install-recommends", ...names])) === undefined) return undefined;
  say("updating the package lists");
  return (await aptGet(["update"])) ?? (await aptGet(["install", "--no-install-recommends", ...names]));
}

/** One apt-get run without questions; answers the last lines of what it complained about. */
async function aptGet(args: readonly string[]): Promise<string | undefined> {
  const options = ["-o", `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`, "--yes", "--quiet=2"];
  const { code, stderr } = await run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...options, ...args]);
  return code === 0 ? undefined : stderr.trim().split("\n").slice(-3).join("; ");
}

const say = (text: string) => process.stderr.write(`nexus: ${text}\n`);
