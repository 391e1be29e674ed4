// Why: what a second process behind the port is worth. Redis, the servers and the generator share this machine's cores, so
// throughput alone says little here: server CPU for each unit of work stands beside it, and what the cores were busy with.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { Value } from "@sinclair/typebox/value";
import { writeBuckets } from "../support/boot-folder.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { childrenOf } from "../support/processes.ts";
import { startRedis } from "../support/redis/server.ts";
import { runRequests } from "./load/requests.ts";
import { type Credentials, deliver, nexusAt, type Target } from "./load/targets.ts";
import { cpuSeconds } from "./process.ts";

const MAIN = new URL("../../server/src/main.ts", import.meta.url).pathname;
const SECONDS = 5;
const CONNECTIONS = 64;
const LISTENERS = 1000;
const ROUNDS = 3;

/** `work`: publishes or deliveries each second. CPU in seconds of a core, each second. */
type Figures = { readonly work: number; readonly servers: number; readonly redis: number; readonly generator: number };

type Stage = { readonly target: Target; readonly redisPid: number };
/** Calls `measured` once, with what is to be measured and nothing of what leads to it. */
type Load = {
  readonly name: string;
  readonly unit: string;
  run(target: Target, measured: (work: () => Promise<{ count: number; seconds: number }>) => Promise<void>): Promise<void>;
};

const LOADS: readonly Load[] = [
  {
    name: "REST, to a user who is away",
    unit: "publishes",
    async run(target, measured) {
      const requests = target.publishes(
        (count) => ({ user: `user-${count % 10_000}` }),
        () => "hello",
        CONNECTIONS,
      );
      await runRequests(requests, 1);
      await measured(async () => {
        const { answered, refused, seconds } = await runRequests(requests, SECONDS);
        if (refused > 0) throw new Error(`${refused} requests were refused`);
        return { count: answered, seconds };
      });
    },
  },
  {
    name: `fan-out, 1 channel x ${LISTENERS}`,
    unit: "deliveries",
    async run(target, measured) {
      await using listeners = await target.listen(LISTENERS, () => ["orders"]);
      const requests = target.publishes(
        () => ({ channel: "orders" }),
        () => "hello",
        8,
      );
      await deliver(target, listeners, { requests, seconds: 1 });
      await measured(async () => {
        const { deliveries, publishes, seconds, lost } = await deliver(target, listeners, { requests, seconds: SECONDS });
        if (lost > 0 || deliveries < publishes * LISTENERS) {
          throw new Error(`${publishes} publishes made ${deliveries} deliveries, ${lost} listeners lost`);
        }
        return { count: deliveries, seconds };
      });
    },
  },
];

/** CPU of the program and of everything it runs. */
const cpuOf = (pid: number): number => [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuSeconds(one), 0);

async function measure({ target, redisPid }: Stage, load: Load): Promise<Figures> {
  const read = () => ({ servers: cpuOf(target.pid), redis: cpuSeconds(redisPid), generator: cpuSeconds(process.pid) });
  let figures: Figures | undefined;
  await load.run(target, async (work) => {
    const before = read();
    const { count, seconds } = await work();
    const after = read();
    figures = {
      work: count / seconds,
      servers: (after.servers - before.servers) / seconds,
      redis: (after.redis - before.redis) / seconds,
      generator: (after.generator - before.generator) / seconds,
    };
  });
  if (!figures) throw new Error(`${load.name} measured nothing`);
  return figures;
}

async function startNexus(count: number, redis: string, folder: string, credentials: Omit<Credentials, "url">): Promise<Target> {
  const env = {
    ...{ NEXUS_PROCESSES: String(count), NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis, NEXUS_REDIS_PREFIX: `bench-${count}` },
    ...{ NEXUS_HTTP_HOST: "127.0.0.1", NEXUS_HTTP_PORT: "0", NEXUS_OPS_HOST: "127.0.0.1", NEXUS_OPS_PORT: "0" },
    ...{ NEXUS_BOOT_DIRECTORY: folder, NEXUS_DRAIN_PROPAGATION_SECONDS: "0" },
  };
  const child = Bun.spawn([process.execPath, MAIN], { env, stdout: "pipe", stderr: "inherit" });
  let text = "";
  const reading = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) text += chunk;
  })();
  const port = await eventually("the server listens", () => /"server\.started".*?"port":(\d+)/.exec(text)?.[1], { intervalMs: 20 });
  return nexusAt(
    { url: `http://127.0.0.1:${port}`, ...credentials },
    {
      pid: child.pid,
      async [Symbol.asyncDispose]() {
        child.kill("SIGTERM");
        await child.exited;
        await reading;
      },
    },
  );
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const medians = (all: readonly Figures[]): Figures => ({
  work: median(all.map(({ work }) => work)),
  servers: median(all.map(({ servers }) => servers)),
  redis: median(all.map(({ redis }) => redis)),
  generator: median(all.map(({ generator }) => generator)),
});

/** 1 and 2 processes in turns, medians of {@link ROUNDS}. */
export async function processes(): Promise<void> {
  console.log(`${availableParallelism()} cores for Redis, servers and generator together`);
  await using redis = await startRedis();
  const folder = await mkdtemp(join(tmpdir(), "nexus-bench-processes-"));
  const credentials = { secret: randomBytes(32).toString("hex"), key: randomBytes(16).toString("hex") };
  const quotas = Value.Default(TenantQuotas, {}) as TenantQuotas; // the schema fills every field
  await writeBuckets(folder, [
    clusterEntry({
      limits: { requestsPerSecond: 0, upgradesPerMinutePerAddress: 0, connectionsPerPod: 100_000, sendQueueBytes: 16_777_216 },
    }),
    tenantEntry("default", { issuers: [secretIssuer(credentials.secret)], api_keys: [apiKey("bench", credentials.key)], quotas }),
  ]);
  try {
    for (const load of LOADS) {
      const seen = new Map<number, Figures[]>([
        [1, []],
        [2, []],
      ]);
      for (let round = 0; round < ROUNDS; round++) {
        for (const [count, figures] of seen) {
          await using target = await startNexus(count, redis.address, folder, credentials);
          figures.push(await measure({ target, redisPid: redis.pid }, load));
        }
      }
      print(load, medians(seen.get(1) ?? []), medians(seen.get(2) ?? []));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function print({ name, unit }: Load, one: Figures, two: Figures): void {
  for (const [count, { work, servers, redis, generator }] of [
    [1, one],
    [2, two],
  ] as const) {
    console.log(
      `${name}: ${count} ${count === 1 ? "process  " : "processes"} ${work.toFixed(0).padStart(7)} ${unit}/s, ` +
        `${((servers / work) * 1e6).toFixed(2)} us server CPU each; cores: servers ${servers.toFixed(2)}, Redis ${redis.toFixed(2)}, generator ${generator.toFixed(2)}`,
    );
  }
  console.log(`${name}: 2 processes do ${(two.work / one.work).toFixed(2)} x the work of 1`);
}
