// Why: `npm run bench:operator [-- --tenants=10000 --templates=100000 --pods=20 --edits=200 --settled]`: the operator as its own process, at a real API
// server, with as many objects as asked for: first sync, restart, edits, hand-over, scale-up. Figures are printed with floors and
// targets beside them, never asserted.
import { eventually } from "../support/eventually.ts";
import { type Stage, startStage } from "../support/operator.ts";
import { Fleet } from "./operator/fleet.ts";
import { CLUSTER, NAMESPACE } from "./operator/names.ts";
import { countReady, createObjects, editTemplate, ownerOf, rawStatusRate, readAll, type Size, templateName } from "./operator/objects.ts";
import { startWatched, type Watched } from "./operator/watched.ts";

type Row = { readonly what: string; readonly value: string; readonly beside?: string };
const rows: Row[] = [];
const say = (what: string, value: string, beside?: string): void => {
  rows.push({ what, value, ...(beside === undefined ? {} : { beside }) });
  console.log(`| ${what} | ${value} | ${beside ?? ""} |`);
};
const note = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const quantile = (list: readonly number[], q: number): number =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? Number.NaN;
const inWords = (calls: Readonly<Record<string, number>>): string =>
  Object.entries(calls)
    .map(([method, count]) => `${method} ${count}`)
    .join(", ");

function flag(name: string, fallback: number): number {
  const found = process.argv.find((one) => one.startsWith(`--${name}=`));
  const value = found === undefined ? fallback : Number(found.split("=")[1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}: must be a whole number above 0`);
  return value;
}

/** Everything Ready, by the operator's own count, then nothing waiting. */
async function untilSynced(operator: Watched, size: Size): Promise<number> {
  const timeoutMs = 40 * 60_000;
  await eventually(
    "every Template and Tenant has its status",
    async () => (await countSettled(operator)) >= size.templates + size.tenants,
    { timeoutMs, intervalMs: 500 },
  );
  return performance.now() - operator.startedMs;
}
const countSettled = async (operator: Watched) =>
  (await operator.metric("nexus_operator_status_writes_total", "Template")) +
  (await operator.metric("nexus_operator_status_writes_total", "Tenant"));

/** Milliseconds from the request (or from `notBeforeMs`, if that is later) to live on every pod. */
async function editToLive(
  stage: Stage,
  fleet: Fleet,
  { at, size, notBeforeMs = async () => 0 }: { at: number; size: Size; notBeforeMs?: () => Promise<number> },
): Promise<number> {
  const key = `template:${ownerOf(at, size)}/${templateName(at)}`;
  const fromMs = performance.now();
  const arrived = Promise.withResolvers<number>();
  // The generation is known only from the answer, which the push may overtake.
  const generation = await nextGeneration(stage, at);
  void fleet.arrival(key, generation).then(arrived.resolve);
  await editTemplate(stage, at, `edited.${Math.round(fromMs)}`);
  const liveMs = await arrived.promise;
  return liveMs - Math.max(fromMs, await notBeforeMs());
}

async function nextGeneration({ plane }: Stage, at: number): Promise<number> {
  const answer = await plane.request(`/apis/nexus.dev/v1alpha1/namespaces/${NAMESPACE}/templates/${templateName(at)}`);
  return ((await answer.json()) as { metadata: { generation: number } }).metadata.generation + 1; // an object
}

async function quiet(operator: Watched, quietMs = 8_000): Promise<void> {
  let [last, sinceMs] = [-1, performance.now()];
  await eventually(
    "the operator writes nothing",
    async () => {
      const { POST = 0, PATCH = 0, DELETE = 0 } = await operator.calls();
      const writes = POST + PATCH + DELETE;
      if (writes !== last) [last, sinceMs] = [writes, performance.now()];
      return performance.now() - sinceMs >= quietMs;
    },
    { timeoutMs: 10 * 60_000, intervalMs: 500 },
  );
}

const size: Size = { tenants: flag("tenants", 10_000), templates: flag("templates", 100_000) };
const podCount = flag("pods", 20);
const edits = flag("edits", 200);
const lease = { "--lease-seconds": "15", "--renew-seconds": "10", "--retry-seconds": "2" };

await using stage = await startStage();
await using fleet = new Fleet(stage);
const rate = await rawStatusRate(stage, 500);
const isSettled = process.argv.includes("--settled");
const createdSeconds = await createObjects(stage, size, isSettled);
const total = size.tenants + size.templates;
console.log(`\n${size.tenants} Tenants, ${size.templates} Templates, ${podCount} pods\n`);
console.log("| what | measured | beside it |\n| --- | --- | --- |");
say(isSettled ? "objects laid into etcd, with statuses" : "objects laid into etcd", seconds(createdSeconds * 1000));
say("floor: all Templates read in pages", seconds((await readAll(stage)) * 1000));
say("floor: statuses applied by a client that does nothing else", `${Math.round(rate)}/s`, `${seconds((total / rate) * 1000)} for all`);

fleet.serve();
{
  await using first = await startWatched(stage, lease);
  await eventually("the Deployment has a pod", () => fleet.pods.size > 0, { timeoutMs: 600_000, intervalMs: 100 });
  await fleet.add(podCount - 1, "more");
  const watch = setInterval(
    () => note(`rss ${first.rssMiB()} MiB, ready pods ${fleet.readyCount}, cpu ${first.cpuSeconds().toFixed(0)} s`),
    10_000,
  );
  await fleet.ready(podCount, 20 * 60_000);
  say("first sync: every pod has everything", seconds(performance.now() - first.startedMs));
  const syncedMs = isSettled ? Number.NaN : await untilSynced(first, size);
  clearInterval(watch);
  if (!isSettled) say("first sync: every status written", seconds(syncedMs), "≤ 15 min");
  await quiet(first);
  say("first sync: requests", inWords(await first.calls()), `statuses: ${await countSettled(first)} for ${total} objects`);
  say("first sync: RSS after it, and the most", `${first.rssMiB()} MiB, ${first.peakMiB()} MiB`);
  say("first sync: CPU of the operator", `${first.cpuSeconds().toFixed(0)} s`);
  note(`ready: ${await countReady(stage, "templates")} Templates, ${await countReady(stage, "tenants")} Tenants`);
  const times: number[] = [];
  for (let round = 0; round < edits; round++) times.push(await editToLive(stage, fleet, { at: (round * 7919) % size.templates, size }));
  say(
    `edit to live on ${podCount} pods, quiet`,
    `p50 ${quantile(times, 0.5).toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms`,
    "p50 ≤ 200 ms, p99 ≤ 1 s",
  );
  await quiet(first, 15_000);
  await eventually("boot copies are written", async () => (await first.metric("workqueue_depth")) === 0, { timeoutMs: 120_000 });
  await Bun.sleep(65_000); // a bucket is written once a minute
  await quiet(first);
  first.process.signal("SIGTERM");
  await first.process.exited;
}

const terms = () => [...fleet.pods.values()].map((pod) => pod.term).sort((a, b) => Number(a - b));
/** Starts an operator and waits until every pod has heard of it. */
async function restart(): Promise<{ operator: Watched; readyMs: number; leadingMs: number }> {
  const before = terms().at(-1) ?? 0n;
  const operator = await startWatched(stage, lease);
  await eventually("it leads", () => operator.isLeading(), { timeoutMs: 180_000, intervalMs: 10 });
  const leadingMs = performance.now();
  await eventually("every pod has heard of it", () => (terms()[0] ?? 0n) > before, { timeoutMs: 180_000, intervalMs: 10 });
  return { operator, readyMs: performance.now() - operator.startedMs, leadingMs };
}
{
  const { operator, readyMs, leadingMs } = await restart();
  await using second = operator;
  say("restart: leading, and every pod confirmed", `${seconds(leadingMs - second.startedMs)}, ${seconds(readyMs)}`, "≤ 60 s");
  await quiet(second, 20_000);
  const { POST = 0, PATCH = 0, DELETE = 0, ...others } = await second.calls();
  say("restart: writes", `${POST + PATCH + DELETE}`, "0");
  say("restart: other requests (PUT = the Lease)", inWords(others));
  say("restart: RSS, and the most", `${second.rssMiB()} MiB, ${second.peakMiB()} MiB`, "≤ 350 MiB");
  say("restart: CPU of the operator", `${second.cpuSeconds().toFixed(1)} s`);
  const statuses = () => second.metric("nexus_operator_status_writes_total");
  const before = await statuses();
  await fleet.add(5, "up");
  await fleet.ready(podCount + 5, 180_000);
  await quiet(second);
  say("5 more pods: status writes", `${(await statuses()) - before}`, "≤ 20");
  second.process.signal("SIGTERM");
  await second.process.exited;
}
{
  // Edits go on while an operator starts: counted from the moment it leads, or from their own.
  const leading = Promise.withResolvers<number>();
  const times: Promise<number>[] = [];
  const { promise: stop, resolve: end } = Promise.withResolvers<void>();
  let isOver = false;
  void stop.then(() => {
    isOver = true;
  });
  const editing = (async () => {
    for (let round = 0; !isOver; round++) {
      times.push(editToLive(stage, fleet, { at: (round * 104_729 + 1) % size.templates, size, notBeforeMs: () => leading.promise }));
      await Bun.sleep(100);
    }
  })();
  const { operator, leadingMs } = await restart();
  await using third = operator;
  leading.resolve(leadingMs);
  await Bun.sleep(10_000);
  end();
  await editing;
  const all = await Promise.all(times);
  say(
    `edit to live during a restart (${all.length} edits)`,
    `p50 ${quantile(all, 0.5).toFixed(0)} ms, p99 ${quantile(all, 0.99).toFixed(0)} ms`,
    "p50 ≤ 200 ms, p99 ≤ 1 s",
  );
  const standby = await startWatched(stage, lease);
  await eventually("the standby is warm", () => standby.isStandby(), { timeoutMs: 180_000 });
  await Bun.sleep(3_000);
  const givenMs = performance.now();
  third.process.signal("SIGTERM");
  await third.process.exited;
  await editToLive(stage, fleet, { at: 3, size });
  say("hand-over to a warm standby: an edit is live after", seconds(performance.now() - givenMs), "≤ 3 s");
  await using last = await startWatched(stage, lease);
  await eventually("the standby is warm", () => last.isStandby(), { timeoutMs: 180_000 });
  await Bun.sleep(3_000);
  const killedMs = performance.now();
  standby.process.signal("SIGKILL");
  await editToLive(stage, fleet, { at: 5, size });
  say("leader killed: an edit is live after", seconds(performance.now() - killedMs), "≤ 20 s");
  await standby[Symbol.asyncDispose]();
}
note(`cluster ${NAMESPACE}/${CLUSTER} done, ${rows.length} figures`);
