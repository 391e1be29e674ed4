// Why: an OCI archive is what every container tool reads (`ctr images import`, `docker load`, `skopeo`, `podman`), so an
// image can be made where no container engine is. Written after the OCI image layout 1.0. It must stay deterministic:
// equal layers and configuration give an equal file.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, renameSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import type { Layer } from "./layer.ts";

export type ImageConfig = {
  /** Full reference with registry and tag, e.g. `nexus.dev/nexus:0.1.0`. */
  readonly name: string;
  readonly entrypoint: readonly string[];
  /** `uid:gid`, numeric: Kubernetes' `runAsNonRoot` cannot check a name. */
  readonly user: string;
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
};

type Blob = { readonly digest: string; readonly size: number; readonly content: { readonly text: string } | { readonly file: string } };

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** A reference without a registry would be completed differently by every tool. */
const REFERENCE = /^(localhost|[^/\s]*[.:][^/\s]*)\/[^\s:@]+:\w[\w.-]{0,127}$/;

/** Writes the image as an OCI archive at `output` (whole or not at all). @returns the manifest's digest, `sha256:…` */
export async function writeArchive(output: string, config: ImageConfig, layers: readonly Layer[]): Promise<string> {
  if (!REFERENCE.test(config.name)) {
    throw new Error(`image name "${config.name}" has to be registry/path:tag, e.g. nexus.dev/nexus:0.1.0`);
  }
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const image = jsonBlob({
    architecture,
    os: "linux",
    config: { User: config.user, Env: config.env, Entrypoint: config.entrypoint, WorkingDir: "/", Labels: config.labels },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "nexus scripts/image.ts" })),
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: image.digest, size: image.size },
    layers: layers.map(({ mediaType, digest, storedBytes }) => ({ mediaType, digest, size: storedBytes })),
    annotations: config.labels,
  });
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: manifest.digest,
        size: manifest.size,
        platform: { architecture, os: "linux" },
        annotations: {
          "io.containerd.image.name": config.name,
          "org.opencontainers.image.ref.name": config.name.slice(config.name.lastIndexOf(":") + 1),
        },
      },
    ],
  });
  const stored = layers.map(({ digest, storedBytes, file }): Blob => ({ digest, size: storedBytes, content: { file } }));
  await writeTar(output, index, [image, manifest, ...stored]);
  return manifest.digest;
}

async function writeTar(output: string, index: string, blobs: readonly Blob[]): Promise<void> {
  const tar = pack();
  const unfinished = `${output}.${process.pid}.new`;
  const writing = pipeline(tar, createWriteStream(unfinished));
  const add = async (name: string, { size, content }: Omit<Blob, "digest">) => {
    const header = { name, size, mode: 0o644, mtime: new Date(0) };
    if ("text" in content) tar.entry(header, content.text);
    else await pipeline(createReadStream(content.file), tar.entry(header));
  };
  const adding = async () => {
    await add("oci-layout", jsonBlob({ imageLayoutVersion: "1.0.0" }));
    await add("index.json", textBlob(index));
    for (const blob of new Map(blobs.map((blob) => [blob.digest, blob])).values()) await add(`blobs/sha256/${blob.digest.slice(7)}`, blob);
    tar.finalize();
  };
  await Promise.all([writing, adding()]);
  renameSync(unfinished, output);
}

const jsonBlob = (value: unknown): Blob => textBlob(JSON.stringify(value));

function textBlob(text: string): Blob {
  return { digest: `sha256:${createHash("sha256").update(text).digest("hex")}`, size: Buffer.byteLength(text), content: { text } };
}
