import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar-stream";
import { runOrThrow } from "../../scripts/host/command.ts";
import { writeArchive } from "../../scripts/oci/archive.ts";
import { baseFiles } from "../../scripts/oci/base.ts";
import { buildProgramImage } from "../../scripts/oci/build.ts";
import { compileProgram } from "../../scripts/oci/compile.ts";
import { packLayer } from "../../scripts/oci/layer.ts";

type Entry = { readonly name: string; readonly mode: number; readonly mtimeMs: number; readonly owner: string; readonly bytes: Buffer };

/** Every entry of a tar file, with content. */
async function entriesOf(bytes: Uint8Array): Promise<Entry[]> {
  const entries: Entry[] = [];
  const reader = extract();
  reader.end(Buffer.from(bytes));
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer); // tar-stream yields Buffers
    const { name, mode = 0, mtime, uid, gid } = entry.header;
    entries.push({ name, mode, mtimeMs: mtime?.getTime() ?? -1, owner: `${uid}:${gid}`, bytes: Buffer.concat(chunks) });
  }
  return entries;
}

const json = (entries: readonly Entry[], name: string): unknown =>
  JSON.parse(entries.find((entry) => entry.name === name)?.bytes.toString() ?? "null");
const blob = (digest: string) => `blobs/sha256/${digest.slice("sha256:".length)}`;
const sha256 = (bytes: Uint8Array) => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

describe.skipIf(process.platform !== "linux")("the image builder", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "nexus-image-test-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const program = 'const named = (request: { query: string }) => request.query;\nconsole.log(named.toString(), process.env["NODE_ENV"]);\n';

  async function entry(): Promise<string> {
    const path = join(mkdtempSync(join(directory, "entry-")), "main.ts");
    await Bun.write(path, program);
    return path;
  }

  test("packs equal files into equal bytes whatever their order, without time or owner", async () => {
    const files = [
      { path: "/usr/lib/b", mode: 0o644, content: { text: "b" } },
      { path: "/etc/a", mode: 0o600, content: { text: "a" } },
    ];
    const one = await packLayer(files, directory, "none");
    const two = await packLayer(files.toReversed(), directory, "none");
    expect(two).toEqual(one);
    const entries = await entriesOf(await Bun.file(one.file).bytes());
    expect(entries.map(({ name }) => name)).toEqual(["etc/", "usr/", "usr/lib/", "etc/a", "usr/lib/b"]);
    expect(new Set(entries.map(({ mtimeMs, owner }) => `${mtimeMs} ${owner}`))).toEqual(new Set(["0 0:0"]));
    expect(entries.find(({ name }) => name === "etc/a")?.mode).toBe(0o600);
  });

  test("makes the same base layer twice, also compressed", async () => {
    for (const compression of ["none", "gzip", "zstd"] as const) {
      const [one, two] = [
        await packLayer(baseFiles(process.execPath), directory, compression),
        await packLayer(baseFiles(process.execPath), directory, compression),
      ];
      expect(two).toEqual(one);
      const stored = await Bun.file(one.file).bytes();
      expect(sha256(stored)).toBe(one.digest);
      const tar = compression === "none" ? stored : compression === "gzip" ? Bun.gunzipSync(stored) : Bun.zstdDecompressSync(stored);
      expect(sha256(tar)).toBe(one.diffId);
    }
  });

  test("puts libraries, certificates and a user into the base layer, and no shell", () => {
    const paths = baseFiles(process.execPath).map(({ path }) => path);
    expect(paths).toContain("/etc/passwd");
    expect(paths.some((path) => path.includes("/libc.so"))).toBe(true);
    expect(paths.filter((path) => path.startsWith("/bin") || path.startsWith("/usr/bin"))).toEqual([]);
  });

  test("compiles the same program from any folder, and keeps the names Elysia reads from handlers", async () => {
    const folders = [mkdtempSync(join(directory, "a-")), mkdtempSync(join(directory, "b-"))];
    const built = await Promise.all(folders.map(async (folder) => compileProgram(await entry(), folder, { bytecode: true })));
    expect(built[0]?.sha256).toBe(built[1]?.sha256 ?? "");
    expect(await runOrThrow([built[0]?.program ?? ""])).toBe("(request)=>request.query production\n");
  });

  test("takes nothing from a .env or bunfig.toml beside it", async () => {
    const { program: compiled } = await compileProgram(await entry(), mkdtempSync(join(directory, "env-")));
    await Bun.write(join(directory, "cwd", ".env"), "NODE_ENV=from-file\nNEXUS_SECRET=from-file\n");
    await Bun.write(join(directory, "cwd", "bunfig.toml"), 'preload = ["./missing.ts"]\n');
    const child = Bun.spawnSync([compiled], { cwd: join(directory, "cwd") });
    expect(child.stdout.toString()).toEndWith(" production\n");
  });

  test("writes an archive whose digests hold from index to layer", async () => {
    const output = join(directory, "image.oci.tar");
    const options = { entry: await entry(), output, name: "nexus.test/program:1", labels: { "org.opencontainers.image.title": "program" } };
    const image = await buildProgramImage(options);
    const entries = await entriesOf(await Bun.file(output).bytes());
    for (const { name, bytes } of entries) if (name.startsWith("blobs/")) expect(blob(sha256(bytes))).toBe(name);
    expect(json(entries, "index.json")).toMatchObject({
      manifests: [{ digest: image.digest, annotations: { "io.containerd.image.name": options.name } }],
    });
    const manifest = json(entries, blob(image.digest)) as { config: { digest: string }; layers: { digest: string; size: number }[] };
    expect(manifest.layers.map(({ digest, size }) => [digest, size])).toEqual(
      image.layers.map(({ digest, storedBytes }) => [digest, storedBytes]),
    );
    expect(json(entries, blob(manifest.config.digest))).toMatchObject({
      config: { User: "65532:65532", Entrypoint: ["/usr/bin/nexus"], Labels: options.labels },
    });
    const again = await buildProgramImage(options);
    expect(again).toEqual({ ...image, cached: true });
  }, 60_000);

  test.each(["nexus", "nexus:1", "team/nexus:1", "nexus.test/nexus", "nexus.test/nexus@sha256:00"])("refuses the name %p", async (name) => {
    const config = { name, entrypoint: ["/x"], user: "1:1", env: [], labels: {} };
    await expect(writeArchive(join(directory, "x.tar"), config, [])).rejects.toThrow(/registry\/path:tag/);
  });

  test.each(["nexus.test/nexus:1", "localhost:5000/nexus:dev", "registry.test:5000/team/nexus:0.1.0-rc.1"])(
    "takes the name %p",
    async (name) => {
      const config = { name, entrypoint: ["/x"], user: "1:1", env: [], labels: {} };
      expect(await writeArchive(join(directory, "x.tar"), config, [])).toStartWith("sha256:");
    },
  );

  test("names what the bundler could not find", async () => {
    await expect(buildProgramImage({ entry: join(directory, "absent.ts"), name: "nexus.test/x:1" })).rejects.toThrow(/absent\.ts/);
  });
});
