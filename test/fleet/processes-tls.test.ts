// Why: several processes share the public port and each renews its own listener on it: no connection may meet the old certificate
// once all have.
import { expect, test } from "bun:test";
import { clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { TOKEN_SECRET } from "../support/rest.ts";
import { serialOf, tlsFiles } from "../support/tls-files.ts";
import { sample, startProcesses } from "./processes-stage.ts";

const cluster = clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 } });
const acme = tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)] });
const CONNECTIONS = 24;

test("every process takes a renewed certificate, and one that is started again has it too", async () => {
  await using files = await tlsFiles();
  await using stage = await startProcesses({ processes: 2, entries: [cluster, acme], env: files.env });
  const serials = async () => new Set(await Promise.all(Array.from({ length: CONNECTIONS }, () => serialOf(stage.url, files.ca))));
  const [before = ""] = await serials();
  await files.renew();
  // Each look is as many connections as are sure to meet both processes.
  const renewed = await eventually(
    "only the new certificate",
    async () => {
      const met = await serials();
      return met.size === 1 && !met.has(before) ? met : undefined;
    },
    { timeoutMs: 20_000 },
  );
  const text = await (await fetch(`${stage.opsUrl}/metrics`)).text();
  expect(sample(text, 'nexus_tls_rereads_total{outcome="taken"}')).toBe(2);
  expect(sample(text, "nexus_tls_certificate_expiry_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
  const [victim = 0] = stage.pids();
  process.kill(victim, "SIGKILL");
  await stage.find("process.ended");
  await eventually(
    "two processes again",
    async () => sample(await (await fetch(`${stage.opsUrl}/metrics`)).text(), "nexus_processes") === 2,
  );
  expect(await serials()).toEqual(renewed);
}, 60_000);
