// Why: what others ask of the operator over HTTP: Prometheus for its metrics, the kubelet whether it lives and is ready. It must
// never say that it is dead because the API server is away: a restart would not help, and would forget everything.
import type { OperatorMetrics } from "./metrics.ts";

export type OpsOptions = {
  /** 0: any. All addresses. */
  readonly port: number;
  readonly metrics: Pick<OperatorMetrics, "text" | "contentType">;
  /** What stands still and only a restart can mend, in words; empty while all goes on. */
  readonly stuck: () => readonly string[];
  /** What keeps it from leading or standing by, in words: there is something it has not seen yet. Empty from then on. */
  readonly missing: () => readonly string[];
  readonly isLeading: () => boolean;
};

export type Listening = { readonly port: number; stop(): Promise<void> };

/** @throws Error when the port is taken */
export function startOps({ port, metrics, stuck, missing, isLeading }: OpsOptions): Listening {
  const http = Bun.serve({
    port,
    routes: {
      "/metrics": async () => new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } }),
      "/healthz": () => {
        const why = stuck();
        return why.length === 0 ? new Response("ok\n") : text(503, why.join("\n"));
      },
      "/readyz": () => {
        const why = missing();
        return why.length === 0 ? text(200, `ok\n${isLeading() ? "leading" : "standby"}`) : text(503, why.join("\n"));
      },
    },
    fetch: () => text(404, "not found"),
  });
  return listening(http);
}

export const text = (status: number, words: string): Response => new Response(`${words}\n`, { status });

/** A server as what can be stopped; open requests are cut. */
export function listening(http: Bun.Server<undefined>): Listening {
  const { port } = http;
  if (port === undefined) throw new Error("a listener without a port");
  return { port, stop: () => http.stop(true) };
}
