// Why: a layer is a tar of files whose bytes depend on nothing but the files' content: no time, no owner, no order of a
// directory listing. So the same sources give the same digest everywhere. It must never read a file's own metadata.
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { type Pack, pack } from "tar-stream";

/** A file of an image. `path` is absolute inside it; content is the bytes themselves or a file on this machine. */
export type ImageFile = {
  readonly path: string;
  readonly mode: number;
  readonly content: { readonly text: string } | { readonly file: string };
};

export type Compression = "none" | "gzip" | "zstd";

/** A packed layer on disk; sizes in bytes. */
export type Layer = {
  readonly file: string;
  readonly mediaType: string;
  /** `sha256:…` of the file as stored. */
  readonly digest: string;
  /** `sha256:…` of the tar inside (OCI image spec, config, `rootfs.diff_ids`). */
  readonly diffId: string;
  readonly storedBytes: number;
  readonly tarBytes: number;
};

const SUFFIX = { none: "", gzip: "+gzip", zstd: "+zstd" } as const satisfies Record<Compression, string>;

/** Packs `files` (in any order, parent directories are added) as a layer in `directory`, named by its digest. */
export async function packLayer(files: readonly ImageFile[], directory: string, compression: Compression): Promise<Layer> {
  const unfinished = join(mkdtempSync(join(directory, "layer-")), "layer");
  const tar = pack();
  const inside = new Meter();
  const stored = new Meter();
  const writing = pipeline(tar, inside, new Blocks(), compressor(compression), stored, createWriteStream(unfinished));
  await Promise.all([writing, addAll(tar, files)]);
  const file = join(directory, stored.hex());
  renameSync(unfinished, file);
  return {
    file,
    mediaType: `application/vnd.oci.image.layer.v1.tar${SUFFIX[compression]}`,
    digest: `sha256:${stored.hex()}`,
    diffId: `sha256:${inside.hex()}`,
    storedBytes: stored.bytes,
    tarBytes: inside.bytes,
  };
}

function compressor(compression: Compression): Transform {
  if (compression === "gzip") return createGzip({ level: 9 });
  // Level 9 is smaller than gzip in half its time; 19 saves another tenth in twenty times the time.
  if (compression === "zstd") return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 9 } });
  return new PassThrough();
}

async function addAll(tar: Pack, files: readonly ImageFile[]): Promise<void> {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const common = { uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0) };
  for (const path of parents(sorted)) tar.entry({ ...common, name: `${path.slice(1)}/`, type: "directory", mode: 0o755 });
  for (const { path, mode, content } of sorted) {
    const header = { ...common, name: path.slice(1), type: "file" as const, mode };
    if ("text" in content) tar.entry(header, content.text);
    else await pipeline(createReadStream(content.file), tar.entry({ ...header, size: statSync(content.file).size }));
  }
  tar.finalize();
}

/** Every directory above the files, outermost first. */
function parents(files: readonly ImageFile[]): string[] {
  const found = new Set<string>();
  for (const { path } of files) {
    const steps = path.split("/").slice(1, -1);
    for (let depth = 1; depth <= steps.length; depth++) found.add(`/${steps.slice(0, depth).join("/")}`);
  }
  return [...found].sort();
}

/** What a compressor makes of the same bytes depends on where its input is cut, and reads end where the machine likes. */
const BLOCK_BYTES = 1024 * 1024;

/** Passes everything on in blocks of one size, the last one shorter. */
class Blocks extends Transform {
  #held: Buffer[] = [];
  #bytes = 0;

  override _transform(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#held.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= BLOCK_BYTES) {
      const all = Buffer.concat(this.#held);
      const end = all.length - (all.length % BLOCK_BYTES);
      for (let at = 0; at < end; at += BLOCK_BYTES) this.push(all.subarray(at, at + BLOCK_BYTES));
      this.#held = [all.subarray(end)];
      this.#bytes = all.length - end;
    }
    done();
  }

  override _flush(done: () => void): void {
    if (this.#bytes > 0) this.push(Buffer.concat(this.#held));
    done();
  }
}

/** Counts and digests what flows through. */
class Meter extends Transform {
  readonly #hash: Hash = createHash("sha256");
  #digest: string | undefined;
  bytes = 0;

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    done(null, chunk);
  }

  /** Hex SHA-256; asked only after the end. */
  hex(): string {
    this.#digest ??= this.#hash.digest("hex");
    return this.#digest;
  }
}
