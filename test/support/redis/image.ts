// Why: a managed Redis needs an image, and images cannot be pulled in a test: the Redis of this machine with what its scripts
// call becomes one. It must never hold more than a small Redis image has: what works here works there.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeArchive } from "../../../scripts/oci/archive.ts";
import { baseFiles } from "../../../scripts/oci/base.ts";
import { type ImageFile, packLayer } from "../../../scripts/oci/layer.ts";

/** By their path in the image. */
const PROGRAMS = ["redis-server", "redis-cli", "sh", "cat", "tr"] as const;

/** Builds the image and hands its archive to `use`; the archive is gone afterwards. @throws Error when a program is missing */
export async function withRedisImage(name: string, use: (archive: string) => Promise<void>): Promise<void> {
  const files = new Map<string, ImageFile>();
  for (const program of PROGRAMS) {
    const file = Bun.which(program);
    if (file === null) throw new Error(`this machine has no ${program}`);
    for (const one of baseFiles(file)) files.set(one.path, one);
    files.set(`/usr/bin/${program}`, { path: `/usr/bin/${program}`, mode: 0o755, content: { file } });
  }
  const folder = await mkdtemp(join(tmpdir(), "nexus-redis-image-"));
  try {
    const layer = await packLayer([...files.values()], folder, "none");
    const archive = join(folder, "image.tar");
    const config = { name, entrypoint: [], user: "999:999", env: ["PATH=/usr/bin"], labels: {} };
    await writeArchive(archive, config, [layer]);
    await use(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
