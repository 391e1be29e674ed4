// Why: a scrape is written on the same event loop that delivers. How long it takes, how large it is, and how long a Ping waits
// because of it, with many tenants and sessions, beside a process that answers with as much text that lies ready.
import { openListeners } from "./load/listeners.ts";
import { percentile, pinGenerator, pinned, startTarget, type Target, tokenFor } from "./load/targets.ts";
import { cpuSeconds, start } from "./process.ts";

type Scene = { readonly name: string; readonly tenants: number; readonly shown: number; readonly sessions: number };

const SCENES: readonly Scene[] = [
  { name: "nobody there", tenants: 0, shown: 100, sessions: 0 },
  { name: "10,000 sessions, 1 tenant", tenants: 1, shown: 100, sessions: 10_000 },
  { name: "10,000 sessions, 1,000 tenants, 100 shown", tenants: 1000, shown: 100, sessions: 10_000 },
  { name: "10,000 sessions, 1,000 tenants, all shown", tenants: 1000, shown: 1000, sessions: 10_000 },
];
const SCRAPES = 200;
const ROOT = new URL("../..", import.meta.url).pathname;

export async function metricsScrape(): Promise<void> {
  pinGenerator();
  for (const scene of SCENES) await measure(scene);
}

async function measure({ name, tenants, shown, sessions }: Scene): Promise<void> {
  await using target = await startTarget("nexus", ["--tenants", String(tenants), "--metrics-tenants", String(shown)]);
  const tenantOf = (index: number) => (tenants === 0 ? undefined : `tenant-${index % tenants}`);
  await using _listeners = await openListeners({
    url: target.url,
    count: sessions,
    pathOf: (index) => `/ws?token=${tokenFor(target.secret, `user-${index}`, tenantOf(index))}`,
    greet: () => '{"type":"Ping"}',
  });
  for (let index = 0; index < tenants; index++) await use(target, tenantOf(index) ?? "default", index);
  const nexus = await scrapes(`${target.opsUrl}/metrics`, target.pid);
  const floorProgram = [process.execPath, `${ROOT}test/bench/floor/text.ts`, "--bytes", String(nexus.bytes)];
  await using floor = await start<{ url: string }>(pinned(floorProgram));
  const raw = await scrapes(floor.ready.url, floor.pid);
  const figures = ({ p50, p99, cpuMs }: Scraped) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${cpuMs.toFixed(2)} ms CPU`;
  console.log(
    `${name}: ${(nexus.bytes / 1024).toFixed(0)} KiB, ${nexus.series} series; ${figures(nexus)}; ready text of that size ${figures(raw)}`,
  );
}

/** What gives a tenant all its series: an entry that is delivered, one that is refused, an unknown template. */
async function use({ url, key }: Target, tenant: string, user: number): Promise<void> {
  const headers = { "content-type": "application/json", "x-api-key": `${key}-all`, "x-tenant-id": tenant };
  const content = { target_user_id: `user-${user}`, event_type: "bench" };
  for (const body of [{ ...content, payload: 1 }, content, { ...content, template_id: "none" }]) {
    const answer = await fetch(`${url}/api/v1/notifications/send`, { method: "POST", headers, body: JSON.stringify(body) });
    await answer.arrayBuffer();
  }
}

type Scraped = { readonly p50: number; readonly p99: number; readonly cpuMs: number; readonly bytes: number; readonly series: number };

async function scrapes(url: string, pid: number): Promise<Scraped> {
  let text = "";
  const scrape = async () => {
    const began = performance.now();
    text = await (await fetch(url)).text();
    return performance.now() - began;
  };
  for (let i = 0; i < 20; i++) await scrape(); // warm
  const cpuBefore = cpuSeconds(pid);
  const took: number[] = [];
  for (let i = 0; i < SCRAPES; i++) took.push(await scrape());
  const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  return {
    ...{ p50: percentile(took, 0.5), p99: percentile(took, 0.99), bytes: text.length, series },
    cpuMs: ((cpuSeconds(pid) - cpuBefore) * 1000) / SCRAPES,
  };
}
