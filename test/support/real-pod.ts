// Why: tests of the operator against the server as it is built, admin port and all, in this process. It speaks for no pod of
// Kubernetes: address and certificate are the test's. It leaves no file and no listener behind.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createLog } from "@nexus/server/adapters/log.ts";
import { type RunningServer, startServer } from "@nexus/server/server.ts";
import type { KeyPair } from "./cluster/pki.ts";

export type RealPod = AsyncDisposable & {
  readonly ip: string;
  readonly port: number;
  readonly server: RunningServer;
};

export type RealPodOptions = {
  /** For the admin port, with the cluster's admin name. */
  readonly certificate: KeyPair;
  /** At least 16 characters. */
  readonly token: string;
  /** `namespace/name`. */
  readonly cluster: string;
  /** Loopback. */
  readonly ip?: string;
};

/** A server without boot copy, every port a free one on `ip`. @throws Error when it cannot start */
export async function startRealPod({ certificate, token, cluster, ip = "127.0.0.1" }: RealPodOptions): Promise<RealPod> {
  const directory = await mkdtemp(join(tmpdir(), "nexus-real-pod-"));
  try {
    const file = async (name: string, text: string) => {
      await writeFile(join(directory, name), text, { mode: 0o600 });
      return join(directory, name);
    };
    const files = {
      certFile: await file("tls.crt", certificate.certPem),
      keyFile: await file("tls.key", certificate.keyPem),
      tokenFile: await file("token", `${token}\n`),
    };
    const open = { host: ip, port: 0 };
    const defaults = { cluster, http: open, ops: open, admin: { ...open, ...files }, drain: { propagationSeconds: 0 } };
    const parsed = parseConfig({ env: {}, defaults });
    if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
    const server = await startServer(parsed.config, { log: createLog({ level: "error", clock: systemClock }) });
    if (server.adminPort === undefined) throw new Error("the admin port is closed");
    return {
      ip,
      port: server.adminPort,
      server,
      async [Symbol.asyncDispose]() {
        await server.stop();
        await rm(directory, { recursive: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true });
    throw error;
  }
}
