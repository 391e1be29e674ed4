// Why: a Redis that speaks TLS only and asks for a client certificate, with an authority of its own.
// It must never outlive its folder: the keys lie in it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../cluster/pki.ts";
import { freePort } from "../free-port.ts";
import { type RedisServer, startRedis } from "./server.ts";

export type TlsRedis = AsyncDisposable & {
  readonly server: RedisServer;
  readonly address: string;
  /** The name the server's certificate carries. */
  readonly serverName: string;
  /** Files for a client: whom to trust, and who it is. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string };
  /** The same, as PEM text. */
  readonly pem: { readonly ca: string; readonly cert: string; readonly key: string };
};

const SERVER_NAME = "redis.nexus.test";

export async function startTlsRedis(): Promise<TlsRedis> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-redis-tls-"));
  const path = (name: string) => join(folder, name);
  const authority = await createAuthority("test redis");
  const server = await authority.issue({ commonName: SERVER_NAME, hosts: [SERVER_NAME] });
  const client = await authority.issue({ commonName: "nexus" });
  const files = { ca: path("ca.crt"), cert: path("client.crt"), key: path("client.key") };
  await Promise.all([
    Bun.write(files.ca, authority.certPem),
    Bun.write(files.cert, client.certPem),
    Bun.write(files.key, client.keyPem),
    Bun.write(path("server.crt"), server.certPem),
    Bun.write(path("server.key"), server.keyPem),
  ]);
  const port = await freePort();
  const certificates = [`tls-cert-file ${path("server.crt")}`, `tls-key-file ${path("server.key")}`, `tls-ca-cert-file ${files.ca}`];
  const settings = ["port 0", `tls-port ${port}`, ...certificates, "tls-auth-clients yes"];
  const redis = await startRedis({ port, settings });
  return {
    ...{ server: redis, address: redis.address, serverName: SERVER_NAME, files },
    pem: { ca: authority.certPem, cert: client.certPem, key: client.keyPem },
    async [Symbol.asyncDispose]() {
      await redis[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
