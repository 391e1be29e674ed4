// Why: hostile clients may cost themselves everything, others nothing: 20 listeners of one channel at 100 messages a second,
// quiet and then under each attack, with a server of its own for each. What others wait for, and what memory is left.
import { ATTACKS } from "./load/attacks.ts";
import { runRequests } from "./load/requests.ts";
import { percentile, pinGenerator, startTarget } from "./load/targets.ts";
import { rssKiB, settledRssKiB, start } from "./process.ts";

const LISTENERS = 20;
const PER_SECOND = 100;
const ROUNDS = 3;
const SECONDS = 3;
/** The schema's defaults. Listeners and attackers have an address each. */
const LIMITS = { sendQueueBytes: 1_048_576, upgradesPerMinutePerAddress: 10 };
const ATTACKER = new URL("programs/attacker.ts", import.meta.url).pathname;

type Round = { readonly p50: number; readonly p99: number; readonly missing: number };

/** `BENCH_ATTACK=<part of a name>` takes only some. */
export async function hostile(): Promise<void> {
  pinGenerator();
  for (const name of Object.keys(ATTACKS)) if (name.includes(process.env.BENCH_ATTACK ?? "")) await measure(name);
}

async function measure(name: string): Promise<void> {
  await using target = await startTarget("nexus", ["--limits", JSON.stringify(LIMITS)]);
  const took: number[] = [];
  const onSample = (text: string) => {
    const at = /at:(\d+(?:\.\d+)?)/.exec(text)?.[1];
    if (at !== undefined) took.push(performance.now() - Number(at));
  };
  await using listeners = await target.listen(LISTENERS, () => ["news"], {
    ...{ sampled: LISTENERS, onSample },
    headers: (index) => `X-Forwarded-For: 192.0.2.${index + 1}\r\n`,
  });
  // Large enough that whoever does not read is noticed within the run.
  const text = "x".repeat(name.includes("never read") ? 16_384 : 200);
  const requests = target.publishes(
    () => ({ channel: "news" }),
    () => `${text} at:${performance.now()}`,
    1,
  );
  const run = async () => {
    took.length = 0;
    const { answered } = await runRequests(requests, SECONDS, PER_SECOND);
    return { p50: percentile(took, 0.5), p99: percentile(took, 0.99), missing: 1 - took.length / (answered * LISTENERS) };
  };
  await runRequests(requests, 1, 1000); // warm
  const before = await settledRssKiB(target.pid);
  const quiet: Round[] = [];
  const attacked: Round[] = [];
  let peak = 0;
  for (let round = 0; round < ROUNDS; round++) {
    quiet.push(await run());
    await using _attacker = await start(politely([process.execPath, ATTACKER, name, target.url, target.secret]));
    const watching = setInterval(() => {
      peak = Math.max(peak, rssKiB(target.pid));
    }, 50);
    attacked.push(await run());
    clearInterval(watching);
  }
  const after = await settledRssKiB(target.pid);
  const ms = (value: number) => value.toFixed(2).padStart(7);
  const mib = (kib: number) => (kib / 1024).toFixed(0);
  const [calm, hit] = [best(quiet), best(attacked)];
  const missing = Math.max(...attacked.map((one) => one.missing));
  console.log(
    `${name.padEnd(46)} quiet p50 ${ms(calm.p50)} p99 ${ms(calm.p99)} ms, attacked p50 ${ms(hit.p50)} p99 ${ms(hit.p99)} ms, ` +
      `${(hit.p99 / calm.p99).toFixed(1)} x; RSS ${mib(before)} -> ${mib(peak)} -> ${mib(after)} MiB` +
      `${listeners.lost() > 0 ? `, ${listeners.lost()} LISTENERS LOST` : ""}${missing > 0.001 ? `, ${(missing * 100).toFixed(1)} % LATE OR MISSING` : ""}`,
  );
}

/** The round the machine disturbed least: what else runs on it only ever adds. */
const best = (rounds: readonly Round[]): Round => rounds.reduce((a, b) => (b.p99 < a.p99 ? b : a));

/** The attacker shares the generator's core, and yields to it: its haste must not look like the server's delay. */
const politely = (command: readonly string[]): string[] => (Bun.which("nice") ? ["nice", "-n", "19", ...command] : [...command]);
