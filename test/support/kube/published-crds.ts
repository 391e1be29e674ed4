// Why: the kinds that others install (prometheus-operator, Gateway API, KEDA, cert-manager) are tested with the definitions their
// projects released: what does not exist there is refused here, and what they fill in is filled in. It must never keep a copy of
// theirs in the tree, and never use a file of a module whose content is not the one that go.sum pins.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Kind, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import { cachePath, withLock } from "../../../scripts/host/cache.ts";
import type { ClusterApi } from "../cluster/api.ts";
import { goEnvironment, goProblem, moduleSum, moduleVersion } from "../cluster/go-modules.ts";
import { TOOL_MODULES } from "../cluster/tools.ts";
import { eventually } from "../eventually.ts";

/** The oldest releases that `docs/install.md` names, and the newest when this was last looked at. */
export type Release = "oldest" | "newest";

/** Where the definitions of an API group are: a Go module, and the folder in it. */
const SOURCES = {
  "monitoring.coreos.com": { module: "github.com/prometheus-operator/prometheus-operator", folder: "example/prometheus-operator-crd" },
  "gateway.networking.k8s.io": { module: "sigs.k8s.io/gateway-api", folder: "config/crd/standard" },
  "keda.sh": { module: "github.com/kedacore/keda/v2", folder: "config/crd/bases" },
  "cert-manager.io": { module: "github.com/cert-manager/cert-manager", folder: "deploy/crds" },
} as const;
type Group = keyof typeof SOURCES;
const GROUPS = Object.keys(SOURCES) as Group[]; // the keys of a constant
const RELEASES: readonly Release[] = ["oldest", "newest"];

/** Name of a definition: `podmonitors.monitoring.coreos.com`. */
export type DefinitionName = `${string}.${Group}`;

const isGroup = (text: string): text is Group => text in SOURCES;
function nameOf({ resource, group }: Kind): DefinitionName {
  if (!isGroup(group)) throw new Error(`nobody is known who defines ${group}`);
  return `${resource}.${group}`;
}

export const MONITORING = [nameOf(OPTIONAL_KINDS.PodMonitor), nameOf(OPTIONAL_KINDS.PrometheusRule)];
export const ROUTE = nameOf(OPTIONAL_KINDS.HTTPRoute);
export const CERTIFICATE = nameOf(OPTIONAL_KINDS.Certificate);
export const SCALED_OBJECT = nameOf(OPTIONAL_KINDS.ScaledObject);
export const TRIGGER_AUTHENTICATION = nameOf(OPTIONAL_KINDS.TriggerAuthentication);
/** Of every kind that we render and others own. */
export const PUBLISHED = Object.values(OPTIONAL_KINDS).map(nameOf);

const DOWNLOAD_MS = 240_000;
const folderOf = (release: Release) => `crds-${release}`;
const cacheOf = (release: Release, group: Group) => {
  const module = SOURCES[group].module;
  const version = moduleVersion(folderOf(release), module);
  const key = new Bun.CryptoHasher("sha256")
    .update(moduleSum(folderOf(release), module))
    .digest("hex")
    .slice(0, 12);
  return cachePath("published-crds", `${group}-${version}-${key}`);
};

/** Why the definitions can neither be found nor fetched here, or undefined when they can. Asks no network. */
export function unavailableDefinitions(): string | undefined {
  const missing = RELEASES.filter((release) => !GROUPS.every((group) => existsSync(cacheOf(release, group))));
  const problem = missing.length > 0 ? goProblem(missing.map(folderOf)) : undefined;
  return problem && `definitions of prometheus-operator, Gateway API, KEDA and cert-manager not in the cache, and ${problem}`;
}

/** Fetches what is not in the cache, so that no test's time is a download's. @throws Error with Go's words */
export async function fetchDefinitions(): Promise<void> {
  for (const release of RELEASES) for (const group of GROUPS) await ensureFolder(release, group);
}

/** The version of a group's project in a release, `1.2.0`. */
export const publishedVersion = (release: Release, group: Group): string =>
  moduleVersion(folderOf(release), SOURCES[group].module).slice(1);

/**
 * Puts definitions on an API server as their projects released them (fetching their modules when they are not in the cache: some
 * 4 MB each, once), and waits until they are served. A definition that is there becomes this one.
 * @throws Error with Go's or the API server's words
 */
export async function installPublished(api: ClusterApi, release: Release, names: readonly DefinitionName[]): Promise<void> {
  const texts = await Promise.all(names.map(async (name) => ({ name, text: await definition(release, name) })));
  const path = (name: string) => `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  for (const { name, text } of texts) {
    const headers = { "content-type": "application/apply-patch+yaml" };
    const answer = await api.request(`${path(name)}?fieldManager=tests&force=true`, { method: "PATCH", headers, body: text });
    if (!answer.ok) throw new Error(`${name} of ${release}: ${answer.status} ${await answer.text()}`);
  }
  for (const { name } of texts)
    await eventually(`${name} is served`, async () => isEstablished(await (await api.request(path(name))).json()), { timeoutMs: 60_000 });
}

function isEstablished(definition: unknown): boolean {
  const { status } = definition as { readonly status?: { readonly conditions?: readonly { type: string; status: string }[] } }; // apiextensions/v1
  return status?.conditions?.some((one) => one.type === "Established" && one.status === "True") === true;
}

/** The YAML of one definition. */
async function definition(release: Release, name: DefinitionName): Promise<string> {
  const at = name.indexOf(".");
  const group = name.slice(at + 1);
  if (!isGroup(group)) throw new Error(`nobody is known who defines ${group}`);
  const folder = await ensureFolder(release, group);
  // Each project has its own idea of a file name; all end with the plural.
  const file = readdirSync(folder).find((one) => one.endsWith(`_${name.slice(0, at)}.yaml`) || one.endsWith(`-${name.slice(0, at)}.yaml`));
  if (file === undefined) throw new Error(`${folder} has no file for ${name}`);
  return readFileSync(join(folder, file), "utf8");
}

async function ensureFolder(release: Release, group: Group): Promise<string> {
  const target = cacheOf(release, group);
  if (existsSync(target)) return target;
  await withLock(cachePath("published-crds", "fetch.lock"), async () => {
    if (!existsSync(target)) await fetchInto(target, release, group);
  });
  return target;
}

async function fetchInto(target: string, release: Release, group: Group): Promise<void> {
  const { module, folder } = SOURCES[group];
  const sum = moduleSum(folderOf(release), module);
  const wanted = `${module}@${moduleVersion(folderOf(release), module)}`;
  const problem = goProblem([folderOf(release)]);
  if (problem) throw new Error(`cannot fetch ${wanted}: ${problem}`);
  process.stderr.write(`nexus: fetching the definitions in ${wanted}\n`);
  const told = Bun.spawn(["go", "mod", "download", "-json", wanted], {
    ...{ cwd: join(TOOL_MODULES, folderOf(release)), env: goEnvironment(), timeout: DOWNLOAD_MS },
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  });
  const [text, words] = await Promise.all([new Response(told.stdout).text(), new Response(told.stderr).text(), told.exited]);
  if (text.trim() === "") throw new Error(`go mod download ${wanted}: ${words.trim()}`);
  const { Dir, Sum, Error: error } = JSON.parse(text) as { readonly Dir?: string; readonly Sum?: string; readonly Error?: string }; // `go help mod download`
  if (Dir === undefined || Sum !== sum) throw new Error(`go mod download ${wanted}: ${error ?? words.trim()} (sum ${Sum}, pinned ${sum})`);
  const unfinished = `${target}.${process.pid}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  for (const file of readdirSync(join(Dir, folder)).filter((one) => one.endsWith(".yaml")))
    writeFileSync(join(unfinished, file), plain(readFileSync(join(Dir, folder, file), "utf8")));
  renameSync(unfinished, target);
}

/** Older ones are templates of a chart: their labels go. */
const plain = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !line.includes("{{"))
    .join("\n");
