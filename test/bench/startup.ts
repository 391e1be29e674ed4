// Why: how soon a new pod can serve, and what it costs to be there: start to Ready with the quickstart's bundle, from
// the compiled binary and from source, and the resident size when idle; a bare Bun.serve compiled the same way stands beside.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import { compileBundle } from "@nexus/operator/desired/bundle.ts";
import { acceptAll } from "@nexus/operator/desired/world.ts";
import { bucketName, makeBuckets } from "@nexus/protocol/bundle.ts";
import { checkResource, type Resource } from "@nexus/protocol/resources/schema.ts";
import { parseAllDocuments } from "yaml";
import { compileProgram } from "../../scripts/oci/compile.ts";
import { rssKiB, settledRssKiB } from "./process.ts";

const root = new URL("../..", import.meta.url).pathname;
const RUNS = 7;

async function quickstart(): Promise<readonly Resource[]> {
  const found: Resource[] = [];
  for (const file of ["cluster", "tenant", "template"]) {
    const text = await Bun.file(`${root}examples/quickstart/${file}.yaml`).text();
    for (const document of parseAllDocuments(text)) {
      const checked = checkResource(document.toJS());
      if (!checked.ok) throw new Error(JSON.stringify(checked.complaints));
      found.push(checked.resource);
    }
  }
  return found;
}

/** Writes the boot copy that the operator would mount. */
async function writeBoot(directory: string): Promise<void> {
  const resources = await quickstart();
  const of = <K extends Resource["kind"]>(kind: K) => resources.filter((one): one is Extract<Resource, { kind: K }> => one.kind === kind);
  const [cluster] = of("NexusCluster");
  if (!cluster) throw new Error("the example has no cluster");
  const { tenants, templates } = acceptAll({ clusters: [cluster], tenants: of("Tenant"), templates: of("Template") });
  const { entries } = compileBundle({
    cluster,
    tenants,
    templates,
    secrets: () => new TextEncoder().encode("0123456789abcdef0123456789abcdef"),
  });
  await mkdir(directory, { recursive: true });
  for (const bucket of makeBuckets(entries)) {
    const packed = zstdCompressSync(JSON.stringify(bucket), { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
    if (bucket.entries.length > 0) await Bun.write(join(directory, bucketName(bucket.index)), packed);
  }
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Milliseconds from spawn until `path` answers 200, and the process. */
async function timed(command: readonly string[], env: Readonly<Record<string, string>>, url: string) {
  const began = performance.now();
  const child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return { child, ms: performance.now() - began };
    if (performance.now() - began > 10_000) throw new Error(`${command.join(" ")} did not answer`);
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function report(
  name: string,
  command: readonly string[],
  env: (ports: { http: string; ops: string }) => Record<string, string>,
  path: string,
): Promise<number> {
  const times: number[] = [];
  let rss = 0;
  for (let run = 0; run < RUNS; run++) {
    const ports = { http: String(freePort()), ops: String(freePort()) };
    const { child, ms } = await timed(command, env(ports), `http://127.0.0.1:${ports.ops}${path}`);
    times.push(ms);
    rss = run === RUNS - 1 ? await settledRssKiB(child.pid) : rssKiB(child.pid);
    child.kill("SIGKILL");
    await child.exited;
  }
  const middle = median(times);
  console.log(`${name.padEnd(28)} ready after ${middle.toFixed(0)} ms (median of ${RUNS}), idle ${(rss / 1024).toFixed(0)} MiB`);
  return middle;
}

export async function startup(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "nexus-bench-"));
  try {
    const boot = join(directory, "boot");
    await writeBoot(boot);
    const floorSource = join(directory, "floor.ts");
    await Bun.write(floorSource, `Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response("ok") });`);
    const floor = await compileProgram(floorSource, join(directory, "floor"), { bytecode: true });
    const nexus = await compileProgram(`${root}cli/src/main.ts`, join(directory, "nexus"), { bytecode: true });
    const env = ({ http, ops }: { http: string; ops: string }) => ({
      NEXUS_HTTP_PORT: http,
      NEXUS_OPS_PORT: ops,
      NEXUS_HTTP_HOST: "127.0.0.1",
      NEXUS_OPS_HOST: "127.0.0.1",
      NEXUS_BOOT_DIRECTORY: boot,
    });
    const bare = await report("bare Bun.serve, compiled", [floor.program], ({ ops }) => ({ PORT: ops }), "/");
    const compiled = await report("nexus server, compiled", [nexus.program, "server"], env, "/ready");
    await report("nexus server, from source", [process.execPath, `${root}cli/src/main.ts`, "server"], env, "/ready");
    console.log(`compiled: ${(compiled / bare).toFixed(2)} x the bare server`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
