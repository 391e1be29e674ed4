// Why: the admin port's certificate and token live in mounted files that are renewed under a running process: they are
// read again every few seconds, and a new certificate gets a second listener on the same port before the old one goes.
// It must never be without a listener in between, nor take a certificate and a key that do not belong together.
import { readFile } from "node:fs/promises";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { checkPair } from "../core/key-pair.ts";
import { MAX_BODY_BYTES } from "./push-body.ts";
import { type AdminDeps, createAdmin } from "./routes.ts";
import { readTokens } from "./tokens.ts";

export type AdminListener = {
  readonly port: number;
  /** Unix seconds. */
  certificateExpiry(): number;
  /** Reads the files now; what cannot be used is logged and the old kept. Never rejects. */
  reread(): Promise<void>;
  stop(): Promise<void>;
};

type Files = { readonly cert: string; readonly key: string; readonly token: string };

/** @throws Error when the files cannot be used at the start, or the port is taken */
export async function startAdmin(config: ServerConfig["admin"], deps: AdminDeps): Promise<AdminListener> {
  let files = await readFiles(config);
  let expiry = checkPair(files);
  let tokens = readTokens(files.token);
  if (tokens.length === 0) throw new Error("the admin token file holds no token of at least 16 characters");
  const admin = createAdmin(deps, () => tokens);
  const listen = (port: number, { cert, key }: Files) =>
    Bun.serve({
      hostname: config.host,
      port,
      reusePort: true, // a renewed certificate needs a second listener: `reload` keeps the old one (bun#43815)
      idleTimeout: 120,
      maxRequestBodySize: MAX_BODY_BYTES,
      tls: { cert, key },
      fetch: (request) => admin.fetch(request),
    });
  let server = listen(config.port, files);
  const { port = config.port } = server;

  async function reread(): Promise<void> {
    try {
      const next = await readFiles(config);
      if (next.token !== files.token) {
        const nextTokens = readTokens(next.token);
        if (nextTokens.length === 0) throw new Error("the token file holds no token");
        tokens = nextTokens;
        deps.log.info("admin.token_reread", { count: tokens.length });
      }
      if (next.cert !== files.cert || next.key !== files.key) {
        expiry = checkPair(next);
        const old = server;
        server = listen(port, next);
        void old.stop(false); // requests that run are finished by the old listener
        deps.log.info("admin.certificate_reread", { expires: new Date(expiry * 1000).toISOString() });
      }
      files = next;
    } catch (error) {
      deps.log.error("admin.reread_failed", { error });
    }
  }

  let rereading: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    rereading = rereading.then(reread);
  }, config.rereadSeconds * 1000);
  timer.unref();
  deps.log.info("admin.listening", { host: config.host, port });
  return {
    port,
    certificateExpiry: () => expiry,
    reread,
    async stop() {
      clearInterval(timer);
      await rereading;
      await server.stop(true);
    },
  };
}

async function readFiles({ certFile, keyFile, tokenFile }: ServerConfig["admin"]): Promise<Files> {
  const [cert, key, token] = await Promise.all([certFile, keyFile, tokenFile].map((path) => readFile(path, "utf8")));
  return { cert: cert ?? "", key: key ?? "", token: token ?? "" };
}
