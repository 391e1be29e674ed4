// Why: a credential in a file that everybody may read, or that the server may not, is found before the server is started.
// It must never show what is in a file.
import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { envName, type ServerConfig } from "@nexus/protocol/config.ts";
import { type Check, fail, ok, warn } from "./check.ts";

type Named = { readonly variable: string; readonly path: string; readonly isSecret: boolean };

const OTHERS_MAY_READ = 0o004;
const CERTIFICATE_WARN_MS = 14 * 86_400_000;

/** Files a server with these settings reads; certificates are no secret. */
export function filesOf({ redis, postgres, tls, admin, engine, inbox }: ServerConfig): readonly Named[] {
  const of = (section: string, field: string, path: string): Named => ({
    variable: envName([section, field]),
    path,
    isSecret: !/^(ca|cert)/.test(field),
  });
  const files: Named[] = [];
  for (const [field, path] of [
    ["certFile", tls.certFile],
    ["keyFile", tls.keyFile],
  ] as const)
    files.push(of("tls", field, path));
  for (const field of ["certFile", "keyFile", "tokenFile"] as const) files.push(of("admin", field, admin[field]));
  if (engine === "redis")
    for (const field of [
      "connectionFile",
      "usernameFile",
      "passwordFile",
      "sentinelPasswordFile",
      "caFile",
      "certFile",
      "keyFile",
    ] as const)
      files.push(of("redis", field, redis[field]));
  if (inbox === "postgres") files.push(of("postgres", "urlFile", postgres.urlFile));
  return files.filter(({ path }) => path !== "");
}

export async function fileCheck({ variable, path, isSecret }: Named, nowMs: number): Promise<Check> {
  const what = `${variable} ${path}`;
  try {
    const [{ mode, size }, text] = [await stat(path), await readFile(path, "utf8")];
    if (size === 0) return fail(what, "is empty", "put the credential into it");
    if (isSecret && (mode & OTHERS_MAY_READ) !== 0)
      return warn(what, `every user of this machine may read it (mode ${(mode & 0o777).toString(8)})`, `chmod 600 ${path}`);
    return variable.endsWith("_CERT_FILE") ? certificateCheck(what, text, nowMs) : ok(what, "can be read");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    const fix = code === "ENOENT" ? "mount it, or correct the path" : `let the server's user read it: chown or chmod ${path}`;
    return fail(what, `cannot be read (${code})`, fix);
  }
}

/** Pure. `pem`: the chain, the leaf first. */
export function certificateCheck(what: string, pem: string, nowMs: number): Check {
  const fix = "renew the certificate; it is read again while the server runs";
  let ends: Date;
  try {
    ends = new Date(new X509Certificate(pem).validTo);
  } catch {
    return fail(what, "is no certificate", "put a PEM certificate chain there, the leaf first"); // why is of no use to anybody
  }
  const leftMs = ends.getTime() - nowMs;
  const day = ends.toISOString().slice(0, 10);
  if (leftMs <= 0) return fail(what, `ended on ${day}`, fix);
  const days = Math.floor(leftMs / 86_400_000);
  if (leftMs < CERTIFICATE_WARN_MS) return warn(what, `ends on ${day}, in ${days} days`, fix);
  return ok(what, `good until ${day}, ${days} days`);
}
