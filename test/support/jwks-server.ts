// Why: what an issuer's web server does (certificates, redirects, endless answers) is only believable over real TLS.
// It must never leave loopback, and its authority is trusted by nobody who was not given it.
import { createAuthority } from "./cluster/pki.ts";

export type JwksServer = AsyncDisposable & {
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string;
  readonly port: number;
  /** `https://id.example.test:<port>/…`; resolve the name to loopback yourself. */
  url(path?: string, host?: string): string;
  /** `Host` headers of the requests so far. */
  readonly hosts: readonly string[];
  answer: (path: string) => Response | Promise<Response>;
};

export const ISSUER_HOST = "id.example.test";

/** Serves on a free loopback port with a certificate for {@link ISSUER_HOST} and 127.0.0.1. */
export async function startJwksServer(answer: JwksServer["answer"]): Promise<JwksServer> {
  const authority = await createAuthority("issuer test authority");
  const { certPem, keyPem } = await authority.issue({ commonName: "issuer", hosts: [ISSUER_HOST, "127.0.0.1"] });
  const hosts: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    tls: { cert: certPem, key: keyPem },
    fetch(request) {
      hosts.push(request.headers.get("host") ?? "");
      return self.answer(new URL(request.url).pathname);
    },
  });
  const port = server.port ?? 0;
  const self: JwksServer = {
    ca: authority.certPem,
    port,
    hosts,
    answer,
    url: (path = "/keys", host = ISSUER_HOST) => `https://${host}:${port}${path}`,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
  return self;
}
