// Why: `npm run image` makes the product's image on any Linux machine, without Docker and without root. It only reads its
// flags, calls the builder and prints what came out; it must never publish.
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { run } from "./host/command.ts";
import { type BuildOptions, type BuiltImage, buildProgramImage } from "./oci/build.ts";
import { compileProgram } from "./oci/compile.ts";
import type { Compression } from "./oci/layer.ts";

const root = join(import.meta.dir, "..");
const COMPRESSIONS: readonly string[] = ["none", "gzip", "zstd"] satisfies Compression[];
const isCompression = (text: string): text is Compression => COMPRESSIONS.includes(text);

const USAGE = `npm run image -- [flags]
  --output FILE       the OCI archive to write (nexus.oci.tar)
  --name REFERENCE    registry/path:tag (nexus.dev/nexus:<version>)
  --entry FILE        the program's entry (cli/src/main.ts)
  --compression KIND  none, gzip or zstd (gzip)
  --program FILE      only compile the program to FILE, for a Dockerfile to wrap
  --no-bytecode       leave out the ahead-of-time bytecode
`;

/** The product's image with its labels; the entry is the `nexus` command unless told otherwise. */
export async function buildImage(options: Omit<BuildOptions, "entry" | "labels"> & { readonly entry?: string }): Promise<BuiltImage> {
  return await buildProgramImage({ entry: join(root, "cli/src/main.ts"), ...options, labels: await labels() });
}

/** Labels of every image of ours, org.opencontainers.image.* of the OCI image spec's annotations. */
async function labels(): Promise<Record<string, string>> {
  const { code, stdout } = await run(["git", "-C", root, "rev-parse", "HEAD"]);
  const revision: Record<string, string> = code === 0 ? { "org.opencontainers.image.revision": stdout.trim() } : {};
  return {
    "org.opencontainers.image.title": "nexus",
    "org.opencontainers.image.description": "Real-time notifications: server, operator and command line",
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.version": version(),
    ...revision,
  };
}

function summary({ name, digest, programBytes, layers, bytes, path, cached }: BuiltImage): string {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const lines = layers.map(
    (layer) => `  ${layer.name.padEnd(8)} ${mb(layer.storedBytes)} (${mb(layer.tarBytes)} unpacked)  ${layer.digest}`,
  );
  return [
    `${name}@${digest}`,
    `  program  ${mb(programBytes)}`,
    ...lines,
    `  archive  ${mb(bytes)}  ${path}${cached ? " (from the cache)" : ""}`,
  ].join("\n");
}

/** The program's name is part of its bytes: it is always compiled under the same one. */
async function compileTo(entry: string, output: string, options: { bytecode: boolean }): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "nexus-program-"));
  try {
    copyFileSync((await compileProgram(entry, directory, options)).program, output);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function version(): string {
  // Our own package.json.
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      output: { type: "string", default: "nexus.oci.tar" },
      name: { type: "string", default: `nexus.dev/nexus:${version()}` },
      entry: { type: "string", default: join(root, "cli/src/main.ts") },
      compression: { type: "string", default: "gzip" },
      bytecode: { type: "boolean", default: true },
      program: { type: "string" },
      help: { type: "boolean", default: false },
    },
    allowNegative: true,
  });
  const { output, name, entry, compression, bytecode, program, help } = values;
  if (help || !isCompression(compression)) {
    process.stderr.write(USAGE);
    return help ? 0 : 2;
  }
  if (program !== undefined) {
    await compileTo(entry, program, { bytecode });
    return 0;
  }
  if (process.platform !== "linux") {
    process.stderr.write("npm run image needs Linux (the image takes its C library from the machine); elsewhere use the Dockerfile\n");
    return 2;
  }
  const built = await buildImage({ entry, output, name, compression, bytecode });
  process.stdout.write(`${summary(built)}\n`);
  return 0;
}

if (import.meta.main) process.exitCode = await main();
