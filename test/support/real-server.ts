// Why: tests of the ports talk to the whole product on free ports: what `main.ts` starts, with its admin port where a test
// wants one. It must leave nothing behind, and a test fails when the server logged an error it did not expect.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BundleEntry, makeBuckets } from "@nexus/protocol/bundle.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createLog } from "@nexus/server/adapters/log.ts";
import { type RunningServer, type StartOptions, startServer } from "@nexus/server/server.ts";
import { createAuthority } from "./cluster/pki.ts";
import { type LogLine, logLineOf } from "./log-lines.ts";

export const ADMIN_NAME = "admin.nexus.default.nexus";
export const ADMIN_TOKEN = "a-token-for-the-admin-port";

export type RealServer = AsyncDisposable & {
  readonly server: RunningServer;
  readonly url: string;
  readonly opsUrl: string;
  readonly lines: readonly LogLine[];
  /** Events a test provokes on purpose at level error. */
  expectErrors(...events: string[]): void;
};

export type RealServerOptions = {
  readonly entries?: readonly BundleEntry[];
  /** As `--flags` would say it, by environment name. */
  readonly env?: Readonly<Record<string, string>>;
  readonly extra?: StartOptions["extra"];
};

const LOOPBACK = { host: "127.0.0.1", port: 0 };

export async function startRealServer({ entries = [], env = {}, extra }: RealServerOptions = {}): Promise<RealServer> {
  const parsed = parseConfig({ env, defaults: { http: LOOPBACK, ops: LOOPBACK, admin: LOOPBACK, drain: { propagationSeconds: 0 } } });
  if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
  const lines: LogLine[] = [];
  const log = createLog({ level: "debug", clock: systemClock, write: (line) => lines.push(logLineOf(line)) });
  const server = await startServer(parsed.config, extra ? { log, extra } : { log });
  if (entries.length > 0) server.live.load(makeBuckets(entries));
  const expected = new Set<string>();
  return {
    server,
    url: server.url,
    opsUrl: server.opsUrl,
    lines,
    expectErrors: (...events) => {
      for (const event of events) expected.add(event);
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      const errors = lines.filter(({ level, event }) => level === "error" && !expected.has(event));
      if (errors.length > 0) throw new Error(`the server logged errors: ${JSON.stringify(errors)}`);
    },
  };
}

export type AdminFiles = AsyncDisposable & {
  readonly env: Readonly<Record<string, string>>;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  writeTokens(...tokens: string[]): Promise<void>;
  /** A new certificate from the same authority. */
  renew(): Promise<void>;
  /** A key that does not belong to the certificate. */
  breakPair(): Promise<void>;
};

/** Certificate, key and token files as they are mounted in a pod. */
export async function adminFiles(): Promise<AdminFiles> {
  const directory = await mkdtemp(join(tmpdir(), "nexus-admin-"));
  const authority = await createAuthority("test admin");
  const path = (name: string) => join(directory, name);
  const renew = async () => {
    const { certPem, keyPem } = await authority.issue({ commonName: ADMIN_NAME, hosts: [ADMIN_NAME] });
    await Promise.all([writeFile(path("tls.crt"), certPem), writeFile(path("tls.key"), keyPem)]);
  };
  const writeTokens = (...tokens: string[]) => writeFile(path("token"), `${tokens.join("\n")}\n`);
  await Promise.all([renew(), writeTokens(ADMIN_TOKEN)]);
  return {
    env: {
      NEXUS_ADMIN_CERT_FILE: path("tls.crt"),
      NEXUS_ADMIN_KEY_FILE: path("tls.key"),
      NEXUS_ADMIN_TOKEN_FILE: path("token"),
      NEXUS_ADMIN_REREAD_SECONDS: "1",
    },
    ca: authority.certPem,
    writeTokens,
    renew,
    async breakPair() {
      const { keyPem } = await authority.issue({ commonName: ADMIN_NAME, hosts: [ADMIN_NAME] });
      await writeFile(path("tls.key"), keyPem);
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
