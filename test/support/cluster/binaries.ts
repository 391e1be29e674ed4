// Why: tests run the real Kubernetes programs, compiled once from pinned Go modules and kept outside the tree. It must
// never download anything but Go modules, and never hand out a half-written binary.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { cachePath, withLock } from "../../../scripts/host/cache.ts";
import { goEnvironment, goProblem, moduleVersion } from "./go-modules.ts";
import { TOOL_MODULES, TOOLS, type Tool, type ToolName } from "./tools.ts";

export type Binaries<Name extends ToolName> = Readonly<Record<Name, string>>;

/** These are the programs a `KUBEBUILDER_ASSETS` folder may carry; the others are always ours. */
const ASSETS: readonly ToolName[] = ["etcd", "kube-apiserver", "kubectl", "kube-controller-manager"];

/**
 * Paths of the named programs, compiling those not in the cache (about 5 minutes for all of Kubernetes on 2 cores, once;
 * progress goes to stderr). Programs found in `$KUBEBUILDER_ASSETS` are used as they are. Two processes that ask at the
 * same time build once.
 * @throws Error with what to install when Go is missing or too old, or with the compiler's output
 */
export async function ensureBinaries<Name extends ToolName>(names: readonly Name[]): Promise<Binaries<Name>> {
  const missing = names.filter((name) => !isExecutable(binaryPath(name)));
  if (missing.length > 0) await buildAll(missing);
  // Every name was looked up or built above, so the record is whole.
  return Object.fromEntries(names.map((name) => [name, binaryPath(name)])) as Binaries<Name>;
}

/** Why the named programs can neither be found nor built here, or undefined when they can. Asks no network. */
export function unavailableBinaries(names: readonly ToolName[]): string | undefined {
  const missing = names.filter((name) => !isExecutable(binaryPath(name)));
  if (missing.length === 0) return undefined;
  const problem = goProblem(modulesOf(missing));
  return problem && `${missing.join(", ")} not in the cache or KUBEBUILDER_ASSETS, and ${problem}`;
}

/** Where a program is or will be. A folder per module and digest of its go files: a new version never meets an old one. */
function binaryPath(name: ToolName): string {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets && ASSETS.includes(name) && isExecutable(join(assets, name))) return join(assets, name);
  const { module } = TOOLS[name];
  const hash = new Bun.CryptoHasher("sha256").update(`${platform()} ${arch()} ${BUILD_FLAGS.join(" ")}`);
  for (const file of readdirSync(join(TOOL_MODULES, module)).sort())
    hash.update(file).update(readFileSync(join(TOOL_MODULES, module, file)));
  return cachePath("kubernetes-bin", `${module}-${hash.digest("hex").slice(0, 12)}`, name);
}

const BUILD_FLAGS = ["-trimpath", "-buildvcs=false", "-mod=readonly"];

async function buildAll(names: readonly ToolName[]): Promise<void> {
  const problem = goProblem(modulesOf(names));
  if (problem) throw new Error(`cannot build ${names.join(", ")}: ${problem}`);
  const waiting = () => say("another process is building the Kubernetes programs, waiting for it");
  await withLock(cachePath("kubernetes-bin", "build.lock"), () => buildMissing(names), waiting);
}

async function buildMissing(names: readonly ToolName[]): Promise<void> {
  const missing = names.filter((name) => !isExecutable(binaryPath(name))); // somebody else may have built while we waited
  if (missing.length > 1) say(`building ${missing.join(", ")} from Go modules, once (minutes); kept in ${cachePath("kubernetes-bin")}`);
  for (const [index, name] of missing.entries()) {
    const startedMs = performance.now();
    say(`[${index + 1}/${missing.length}] ${name} …`);
    await build(name);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    say(`[${index + 1}/${missing.length}] ${name}: ${seconds} s, ${(statSync(binaryPath(name)).size / 1e6).toFixed(0)} MB`);
  }
}

async function build(name: ToolName): Promise<void> {
  const tool: Tool = TOOLS[name];
  const target = binaryPath(name);
  const unfinished = `${target}.${process.pid}.new`;
  mkdirSync(join(target, ".."), { recursive: true });
  const ldflags = ["-s", "-w", ...versionFlags(tool)].join(" ");
  const go = Bun.spawn(["go", "build", ...BUILD_FLAGS, "-ldflags", ldflags, "-o", unfinished, tool.package], {
    cwd: join(TOOL_MODULES, tool.module),
    env: goEnvironment(),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, output] = await Promise.all([go.exited, new Response(go.stderr).text()]);
  if (code !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`go build ${tool.package} failed (${code}):\n${output.slice(-4000)}`);
  }
  renameSync(unfinished, target);
}

/** Without these a client sees v0.0.0: Kubernetes takes its version from the linker, not from its module. */
function versionFlags(tool: Tool): string[] {
  if (!tool.version) return [];
  const version = moduleVersion(tool.module, tool.version);
  const [major, minor] = version.slice(1).split(".");
  const at = "-X k8s.io/component-base/version.git";
  return [`${at}Version=${version}`, `${at}Major=${major}`, `${at}Minor=${minor}`];
}

const modulesOf = (names: readonly ToolName[]) => names.map((name) => TOOLS[name].module);

function isExecutable(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // there but not ours to run: the same as not there
  }
}

const say = (text: string) => process.stderr.write(`nexus: ${text}\n`);
