// Why: tests of the public port's TLS renew and break the mounted files as a kubelet and a careless hand would. It must leave no
// file behind.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { createAuthority } from "./cluster/pki.ts";

export const PUBLIC_NAME = "push.example.com";

/** Certificate and key of {@link PUBLIC_NAME} in a folder of their own; `env` tells a server of them. */
export async function tlsFiles() {
  const directory = await mkdtemp(join(tmpdir(), "nexus-tls-"));
  const authority = await createAuthority("test public");
  const [certFile, keyFile] = [join(directory, "tls.crt"), join(directory, "tls.key")];
  const issue = () => authority.issue({ commonName: PUBLIC_NAME, hosts: [PUBLIC_NAME, "127.0.0.1"] });
  const renew = async () => {
    const { certPem, keyPem } = await issue();
    await Promise.all([writeFile(certFile, certPem), writeFile(keyFile, keyPem)]);
  };
  await renew();
  return {
    env: { NEXUS_TLS_CERT_FILE: certFile, NEXUS_TLS_KEY_FILE: keyFile, NEXUS_TLS_REREAD_SECONDS: "1" },
    /** PEM of the authority. */
    ca: authority.certPem,
    renew,
    /** A key that does not belong to the certificate. */
    breakPair: async () => await writeFile(keyFile, (await issue()).keyPem),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Serial number of the certificate that a new connection to the host and port of `url` meets. */
export async function serialOf(url: string, ca: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ca, servername: PUBLIC_NAME });
  socket.once("secureConnect", () => resolve(socket.getPeerCertificate().serialNumber));
  socket.once("error", reject);
  return await promise.finally(() => socket.destroy());
}
