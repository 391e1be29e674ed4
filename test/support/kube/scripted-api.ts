// Why: what a real API server does only on a bad day (410 in the middle of a list, torn watches, 429 storms, wrong
// certificates) is scripted over real HTTP(S) on loopback. It must never answer what the test did not write.
import type { KubeAccess, TlsOptions } from "@nexus/operator/kube/access.ts";

export type SeenRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: string;
};

export type ScriptedApi = AsyncDisposable & {
  readonly server: string;
  readonly seen: readonly SeenRequest[];
  /** Access with a fixed token; `tls` as the client would have it. */
  access(tls?: TlsOptions, token?: string): KubeAccess;
};

export type ServerTls = { readonly certPem: string; readonly keyPem: string; readonly clientCaPem?: string };

/** Serves `handle` on a free port. A throw in it is a 500 that says so. */
export async function startScriptedApi(
  handle: (request: SeenRequest) => Response | Promise<Response>,
  tls?: ServerTls,
): Promise<ScriptedApi> {
  const seen: SeenRequest[] = [];
  const clientCertificates = tls?.clientCaPem ? { ca: tls.clientCaPem, requestCert: true, rejectUnauthorized: true } : {};
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    ...(tls ? { tls: { cert: tls.certPem, key: tls.keyPem, ...clientCertificates } } : {}),
    async fetch(request) {
      const url = new URL(request.url);
      const one = {
        method: request.method,
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: await request.text(),
      };
      seen.push(one);
      return await handle(one);
    },
    error: (error) => new Response(`the script failed: ${error.message}`, { status: 500 }),
  });
  const address = `${tls ? "https" : "http"}://127.0.0.1:${server.port}`;
  return {
    server: address,
    seen,
    access: (options = {}, token = "t0") => ({
      server: address,
      namespace: undefined,
      credentials: async () => ({ tls: options, headers: { Authorization: `Bearer ${token}` } }),
    }),
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

/** A Kubernetes `Status` refusal. */
export const status = (code: number, reason: string, extra: object = {}, headers: Record<string, string> = {}): Response =>
  Response.json(
    { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message: `${reason} by script`, ...extra },
    { status: code, headers },
  );

/** A page of ConfigMaps `ns/name`, each with the given resourceVersion. */
export const page = (resourceVersion: string, items: Readonly<Record<string, string>>, next?: string): Response =>
  Response.json({
    kind: "ConfigMapList",
    apiVersion: "v1",
    metadata: { resourceVersion, ...(next ? { continue: next } : {}) },
    items: Object.entries(items).map(([name, version]) => ({
      metadata: { namespace: "ns", name, uid: `uid-${name}`, resourceVersion: version },
    })),
  });

/** A watch whose bytes the test sends; `text` may be any part of a line. */
export function watchStream() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
      given.enqueue(new TextEncoder().encode("\n")); // headers go out with the first bytes
    },
    cancel() {
      isCancelled = true;
    },
  });
  return {
    response: new Response(stream, { headers: { "content-type": "application/json" } }),
    get cancelled() {
      return isCancelled;
    },
    send: (bytes: string | Uint8Array) => controller?.enqueue(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes),
    end: () => controller?.close(),
  };
}

/** One line of a watch about ConfigMap `ns/name`. */
export const event = (type: string, name: string, resourceVersion: string, extra: object = {}): string =>
  `${JSON.stringify({ type, object: { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "ns", name, uid: `uid-${name}`, resourceVersion }, ...extra } })}\n`;
