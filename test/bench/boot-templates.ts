// Why: a pod of a fleet with 100,000 Templates has to be there soon and fit its memory. Time from spawn to Ready with such a
// boot copy, and the resident size after it, beside the same server with an empty one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeBuckets } from "../support/boot-folder.ts";
import { clusterEntry, templateEntry, tenantEntry } from "../support/bundle-entries.ts";
import { rssKiB, settledRssKiB } from "./process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const TENANTS = 100;
const RUNS = 3;
const PAYLOAD = {
  title: "Order {{order}} shipped",
  body: "It left at {{time}} and arrives {{day}}.",
  link: "https://shop.example/orders/{{order}}",
};

async function writeTemplates(directory: string, templates: number): Promise<void> {
  const tenants = Array.from({ length: TENANTS }, (_, index) => tenantEntry(`tenant-${index}`));
  const all = Array.from({ length: templates }, (_, index) =>
    templateEntry(`tenant-${index % TENANTS}`, `order-shipped-${index}`, { event_type: "order.shipped", payload: PAYLOAD }),
  );
  await writeBuckets(directory, [clusterEntry(), ...tenants, ...all]);
}

async function measure(directory: string): Promise<{ readonly seconds: number; readonly peak: number; readonly settled: number }> {
  const began = performance.now();
  const log = { stdout: "pipe", stderr: "ignore" } as const;
  const env = { ...process.env, NEXUS_HTTP_PORT: "0", NEXUS_OPS_PORT: "0", NEXUS_BOOT_DIRECTORY: directory };
  const child = Bun.spawn([process.execPath, `${ROOT}server/src/main.ts`], { env, ...log });
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes('"server.started"')) text += new TextDecoder().decode((await reader.read()).value);
  const seconds = (performance.now() - began) / 1000;
  const peak = rssKiB(child.pid);
  const settled = await settledRssKiB(child.pid);
  child.kill("SIGKILL");
  await child.exited;
  return { seconds, peak, settled };
}

export async function bootTemplates(): Promise<void> {
  for (const templates of [0, 100_000]) {
    const directory = await mkdtemp(join(tmpdir(), "nexus-bench-boot-"));
    await writeTemplates(directory, templates);
    for (let run = 0; run < RUNS; run++) {
      const { seconds, peak, settled } = await measure(directory);
      console.log(
        `${String(templates).padStart(6)} templates: started after ${seconds.toFixed(2)} s, ${(peak / 1024).toFixed(0)} MiB then, ${(settled / 1024).toFixed(0)} MiB settled`,
      );
    }
    await rm(directory, { recursive: true, force: true });
  }
}
