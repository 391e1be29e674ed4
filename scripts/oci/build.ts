// Why: from an entry file to an image without any container engine: compile, wrap in two layers (base: libraries; app: the
// program), write an archive. Equal inputs are packed once and kept outside the tree. It must never pull or push anything.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachePath } from "../host/cache.ts";
import { type ImageConfig, writeArchive } from "./archive.ts";
import { baseFiles, NONROOT } from "./base.ts";
import { compileProgram } from "./compile.ts";
import { type Compression, type ImageFile, packLayer } from "./layer.ts";

export type BuildOptions = {
  /** The program's entry file. */
  readonly entry: string;
  /** Where the OCI archive is to go as well; replaced whole. */
  readonly output?: string;
  /** Full reference, e.g. `nexus.dev/nexus:0.1.0`. */
  readonly name: string;
  /** Default `none`, the quickest to make and to import; releases want `gzip` (read by all) or `zstd`. */
  readonly compression?: Compression;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default true: every function compiled ahead (faster start, larger file). */
  readonly bytecode?: boolean;
};

/** What was built; sizes in bytes. */
export type BuiltImage = {
  readonly name: string;
  /** The archive: `output`, or without one the copy in the cache, to be read soon and never changed. */
  readonly path: string;
  /** Size of the archive. */
  readonly bytes: number;
  /** `sha256:…` of the manifest: what `image: name@digest` means. */
  readonly digest: string;
  readonly programBytes: number;
  readonly layers: readonly {
    readonly name: "base" | "app";
    readonly digest: string;
    readonly storedBytes: number;
    readonly tarBytes: number;
  }[];
  /** The archive was made earlier from the same program. */
  readonly cached: boolean;
};

/** Where the program lies in the image. */
export const PROGRAM_PATH = "/usr/bin/nexus";

/** Images kept in the cache; older ones are removed. */
const KEPT_IMAGES = 4;

/** Builds an image for this machine's architecture (Linux, glibc). @throws Error with the bundler's or ldd's message */
export async function buildProgramImage(options: BuildOptions): Promise<BuiltImage> {
  const { entry, output, name, compression = "none", labels = {}, bytecode = true } = options;
  const directory = mkdtempSync(join(tmpdir(), "nexus-image-"));
  try {
    const { program, sha256 } = await compileProgram(entry, directory, { bytecode });
    const config: ImageConfig = { name, labels, user: NONROOT, entrypoint: [PROGRAM_PATH], env: ["PATH=/usr/bin"] };
    const layers = { base: baseFiles(program), app: [{ path: PROGRAM_PATH, mode: 0o755, content: { file: program } }] };
    const key = digestOf({ sha256, config, compression, base: layers.base.map(fingerprint), builder: builderDigest() });
    const kept = cachePath("images", key);
    const cached = existsSync(join(kept, "image.tar"));
    if (!cached) await pack({ directory, kept, config, compression, layers, programBytes: statSync(program).size });
    const now = new Date();
    utimesSync(kept, now, now); // the cache drops what was not used for longest
    const path = join(kept, "image.tar");
    if (output !== undefined) copyFileSync(path, output);
    // Written by `pack` below.
    const facts = JSON.parse(readFileSync(join(kept, "facts.json"), "utf8")) as Omit<BuiltImage, "name" | "path" | "cached">;
    return { name, path: output ?? path, ...facts, cached };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type PackOptions = {
  readonly directory: string;
  readonly kept: string;
  readonly config: ImageConfig;
  readonly compression: Compression;
  readonly layers: { readonly base: readonly ImageFile[]; readonly app: readonly ImageFile[] };
  readonly programBytes: number;
};

async function pack(options: PackOptions): Promise<void> {
  const { directory, kept, config, compression, programBytes } = options;
  const base = await packLayer(options.layers.base, directory, compression);
  const app = await packLayer(options.layers.app, directory, compression);
  const fresh = join(directory, "fresh");
  mkdirSync(fresh);
  const digest = await writeArchive(join(fresh, "image.tar"), config, [base, app]);
  const sizes = (
    [
      ["base", base],
      ["app", app],
    ] as const
  ).map(([name, { digest: layer, storedBytes, tarBytes }]) => ({ name, digest: layer, storedBytes, tarBytes }));
  const bytes = statSync(join(fresh, "image.tar")).size;
  writeFileSync(join(fresh, "facts.json"), JSON.stringify({ digest, programBytes, layers: sizes, bytes }));
  keep(fresh, kept);
}

/** Moves a finished image into the cache (it may be on another disk) and drops the oldest ones. */
function keep(fresh: string, kept: string): void {
  const unfinished = `${kept}.${process.pid}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(fresh, unfinished, { recursive: true });
  if (existsSync(kept)) rmSync(unfinished, { recursive: true, force: true });
  else renameSync(unfinished, kept);
  const images = readdirSync(cachePath("images")).map((name) => ({
    path: cachePath("images", name),
    time: statSync(cachePath("images", name)).mtimeMs,
  }));
  for (const { path } of images.sort((a, b) => b.time - a.time).slice(KEPT_IMAGES)) rmSync(path, { recursive: true, force: true });
}

const fingerprint = ({ path, mode, content }: ImageFile) => {
  const bytes = "text" in content ? content.text : readFileSync(content.file);
  return [path, mode, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")];
};

/** A change of the builder itself makes other images. */
function builderDigest(): string {
  const sources = readdirSync(import.meta.dir).sort();
  return digestOf(sources.map((name) => readFileSync(join(import.meta.dir, name), "utf8")));
}

const digestOf = (value: unknown) => new Bun.CryptoHasher("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 24);
