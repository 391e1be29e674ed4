// Why: what a compiled Bun program needs around it and nothing more: the shared libraries it links to, root certificates,
// and a user to be. No shell and no package manager, so there is nothing to update or to break into. It must never hold
// anything of ours: it changes with the machine's libc, not with our code.
import { existsSync, readFileSync, realpathSync } from "node:fs";
import type { ImageFile } from "./layer.ts";

/** `uid:gid` every image runs as. */
export const NONROOT = "65532:65532";

const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * The files of the base layer for a program.
 * @throws Error when `ldd` cannot say what it links to, or names a library that is missing
 */
export function baseFiles(program: string): ImageFile[] {
  const text = (path: string, content: string): ImageFile => ({ path, mode: 0o644, content: { text: content } });
  const [uid, gid] = NONROOT.split(":");
  const files = [
    text("/etc/passwd", `root:x:0:0:root:/:/sbin/nologin\nnonroot:x:${uid}:${gid}:nonroot:/:/sbin/nologin\n`),
    text("/etc/group", `root:x:0:\nnonroot:x:${gid}:\n`),
    text("/etc/nsswitch.conf", "hosts: files dns\n"),
    ...sharedLibraries(program).map((path): ImageFile => ({ path, mode: 0o755, content: { file: realpathSync(path) } })),
  ];
  return existsSync(CERTIFICATES) ? [...files, text(CERTIFICATES, readFileSync(CERTIFICATES, "utf8"))] : files;
}

/** Absolute paths of the libraries (and the loader) a dynamic program needs. */
function sharedLibraries(program: string): string[] {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["ldd", program]);
  const lines = stdout.toString().split("\n");
  const missing = lines.filter((line) => line.includes("not found"));
  if (exitCode !== 0 || missing.length > 0) throw new Error(`ldd ${program}: ${missing.join("; ") || stderr.toString().trim()}`);
  // "libc.so.6 => /lib/…/libc.so.6 (0x…)" or "/lib64/ld-linux….so.2 (0x…)"; the kernel's vdso has no path.
  return [...new Set(lines.flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []))].sort();
}
