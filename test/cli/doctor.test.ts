// Why: what the doctor says is decided by plain values: what Redis, PostgreSQL, a certificate, a clock, a name, a Deployment or a pod
// said of itself. Every check is brought to fail here or beside a real one, and every failure names what mends it.
import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { versionCheck as kubernetesCheck } from "@nexus/cli/doctor/api.ts";
import { type Check, checkLine, clockCheck, fail, hasFailed, ok, skip, summaryOf, warn } from "@nexus/cli/doctor/check.ts";
import { brokerChecks, bundleCheck } from "@nexus/cli/doctor/fleet.ts";
import { nameChecks } from "@nexus/cli/doctor/names.ts";
import { type OperatorDeployment, operatorSettings, readyCheck, versionCheck } from "@nexus/cli/doctor/operator.ts";
import { ageCheck, podChecks, sampleOf } from "@nexus/cli/doctor/pods.ts";
import { factChecks } from "@nexus/cli/doctor/postgres.ts";
import { COMMANDS, TRIGGER_COMMANDS } from "@nexus/cli/doctor/redis-commands.ts";
import { factsOf, layoutCheck, memoryCheck, persistenceCheck, replicationCheck } from "@nexus/cli/doctor/redis-facts.ts";
import { certificateCheck, fileCheck } from "@nexus/cli/doctor/secret-files.ts";
import { checkSettings, redisFromUrl } from "@nexus/cli/doctor/settings.ts";
import type { Connection } from "@nexus/cli/kube/connect.ts";
import { asResource } from "@nexus/cli/kube/objects.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import type { Transport } from "@nexus/operator/kube/transport.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { createAuthority } from "../support/cluster/pki.ts";
import { cluster } from "../support/resources.ts";

const facts = (fields: Readonly<Record<string, string | number>>) =>
  new Map(Object.entries(fields).map(([name, value]) => [name, String(value)]));
const DAY = 86_400_000;

describe("a line", () => {
  test("is one line, whatever was seen, and a failure has its fix on it", () => {
    expect(checkLine(fail("Redis", "refused\n  it", "do this"))).toBe("FAIL Redis: refused it. Fix: do this");
    expect(checkLine(ok("Redis", "is there"))).toBe("ok   Redis: is there");
    expect(checkLine(skip("Redis", "may not be asked"))).toBe("?    Redis: may not be asked");
  });

  test("the summary counts, and only a failure fails", () => {
    const checks = [ok("a", "x"), warn("b", "x", "y"), skip("c", "x")];
    expect([summaryOf(checks), hasFailed(checks)]).toEqual(["3 checks: 1 ok, 1 to look at, 1 not looked at, 0 failed", false]);
    expect(summaryOf(checks.slice(0, 1))).toStartWith("1 check: ");
    expect(hasFailed([...checks, fail("d", "x", "y")])).toBe(true);
  });
});

/** What each says of a value, without the words. */
const outcomes = (...checks: readonly Check[]) => checks.map(({ outcome }) => outcome);

test("a clock is judged beyond what the way there may have cost", () => {
  expect(outcomes(...[900, 1500, -1500, 4999, 6000, -6000].map((ahead) => clockCheck("c", ahead, 0)))).toEqual([
    "ok",
    "warn",
    "warn",
    "warn",
    "fail",
    "fail",
  ]);
  expect(clockCheck("c", 6000, 12_000).outcome).toBe("ok");
  expect(clockCheck("c", -6000, 0).seen).toContain("6.0 s behind this machine");
});

describe("Redis", () => {
  test("evicting what people have not received is wrong, and so is a full one", () => {
    const of = (maxmemory: number, used: number, policy: string) =>
      memoryCheck("m", facts({ maxmemory, used_memory: used, maxmemory_policy: policy }));
    expect(outcomes(of(100, 10, "allkeys-lru"), of(100, 10, "volatile-ttl"), of(0, 10, "allkeys-lru"))).toEqual(["fail", "fail", "warn"]);
    expect(outcomes(of(0, 10, "noeviction"), of(100, 79, "noeviction"), of(100, 80, "noeviction"), of(100, 95, "noeviction"))).toEqual([
      "ok",
      "ok",
      "warn",
      "fail",
    ]);
    expect(of(100, 10, "allkeys-lru").fix).toContain("CONFIG SET maxmemory-policy noeviction");
  });

  test("what is on a disk, and what cannot be written there", () => {
    const aof = facts({ aof_enabled: 1, aof_last_write_status: "ok" });
    expect(persistenceCheck("p", aof, undefined).outcome).toBe("ok");
    expect(persistenceCheck("p", facts({ aof_enabled: 1, aof_last_write_status: "err" }), "").outcome).toBe("fail");
    expect(persistenceCheck("p", facts({ rdb_last_bgsave_status: "err" }), "3600 1").outcome).toBe("fail");
    expect(persistenceCheck("p", facts({ loading: 1 }), "").outcome).toBe("warn");
    expect([persistenceCheck("p", facts({}), "").seen, persistenceCheck("p", facts({}), "3600 1").seen]).toEqual([
      "nothing is kept on a disk",
      "snapshots only (save 3600 1)",
    ]);
  });

  test("replicas that are not there", () => {
    const of = (there: number, wanted: number, role = "master") => replicationCheck("r", facts({ role, connected_slaves: there }), wanted);
    expect(outcomes(of(1, 1), of(2, 1), of(0, 0), of(1, 2), of(1, 1, "slave"))).toEqual(["ok", "ok", "warn", "warn", "fail"]);
  });

  test("a key layout that this release cannot share", () => {
    const of = (...layouts: [number, number][]) => layoutCheck("l", new Map(layouts), 100, 3);
    expect(outcomes(of(), of([3, 200]), of([2, 200]), of([1, 200]), of([5, 200], [3, 200]))).toEqual(["ok", "ok", "ok", "fail", "fail"]);
    expect(outcomes(of([1, 50]), of([1, 50], [3, 60]))).toEqual(["fail", "ok"]); // nobody uses it any more: the last one counts
  });

  test("INFO is read with its colons", () => {
    expect([...factsOf("# Server\r\nredis_version:7.0.15\r\nexecutable:/a:b\r\n")]).toEqual([
      ["redis_version", "7.0.15"],
      ["executable", "/a:b"],
    ]);
  });

  test("every command the server's source calls is tried", async () => {
    const tried = new Set([...COMMANDS("k", "c"), ...TRIGGER_COMMANDS("s")].map(([name]) => name));
    const used = new Set<string>();
    for await (const path of new Bun.Glob("**/*.ts").scan("server/src/adapters/redis")) {
      const text = await Bun.file(`server/src/adapters/redis/${path}`).text();
      for (const [, lua, called, method] of text.matchAll(/redis\.p?call\('([A-Z]+)'|\.call\(\s*"([A-Z]+)"|connection\.(info)\(/g))
        used.add((lua ?? called ?? method ?? "").toUpperCase());
    }
    expect(used.size).toBeGreaterThan(30);
    // Asked of everybody who connects, or of a Sentinel.
    const others = ["HELLO", "SENTINEL"];
    expect([...used].filter((name) => !tried.has(name) && !others.includes(name))).toEqual([]);
  });
});

test("an address of Redis is read as people write it", () => {
  const of = (text: string) => {
    const read = redisFromUrl(text);
    return read && [read.addresses, read.database, read.credentials.username(), read.credentials.password(), read.credentials.tls()];
  };
  expect(of("redis://10.0.0.7")).toEqual([["10.0.0.7:6379"], 0, undefined, undefined, undefined]);
  expect(of("rediss://nexus:p%40ss@a:1,b:2/3")).toEqual([["a:1", "b:2"], 3, "nexus", "p@ss", {}]);
  expect(of("redis://:only@a")).toEqual([["a:6379"], 0, undefined, "only", undefined]);
  expect([of("http://a"), of("redis://a/x"), of("a:6379")]).toEqual([undefined, undefined, undefined]);
});

test("PostgreSQL that is old, a standby, forgetful, foreign to UTF-8 or too small", () => {
  const row = { version: 150_004, standby: false, commit: "on", encoding: "UTF8", most: 100 };
  expect(outcomes(...factChecks("p", row, 10))).toEqual(["ok", "ok", "ok"]);
  const failing = (change: Partial<typeof row>, poolSize = 10) =>
    factChecks("p", { ...row, ...change }, poolSize).filter(({ outcome }) => outcome !== "ok");
  expect(failing({ version: 120_010 })).toMatchObject([{ outcome: "fail", seen: "is PostgreSQL 12" }]);
  expect(failing({ standby: true })).toMatchObject([{ outcome: "fail", fix: expect.stringContaining("primary") }]);
  expect(failing({ commit: "off" })).toMatchObject([{ outcome: "fail", fix: expect.stringContaining("synchronous_commit = on") }]);
  expect(failing({ encoding: "SQL_ASCII" })).toMatchObject([{ outcome: "fail" }]);
  expect(failing({}, 60)).toMatchObject([{ outcome: "warn", fix: expect.stringContaining("NEXUS_POSTGRES_POOL_SIZE") }]);
});

test("names that do not resolve, for those who need them and for those who do not", async () => {
  const resolve = async (host: string): Promise<readonly string[]> => {
    if (host === "there.example") return ["10.0.0.1"];
    if (host === "empty.example") return [];
    throw Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" });
  };
  const hosts = ["there.example", "gone.example", "empty.example", "127.0.0.1", "::1", "", "gone.example"];
  const needed = await nameChecks(hosts, resolve, true);
  expect(needed.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual([
    "DNS empty.example fail",
    "DNS gone.example fail",
    "DNS there.example ok",
  ]);
  expect(needed[1]?.seen).toContain("ENOTFOUND");
  expect(outcomes(...(await nameChecks(hosts, resolve, false)))).toEqual(["warn", "warn", "ok"]);
});

test("certificates near their end, ended, or none", async () => {
  const authority = await createAuthority("doctor");
  const { certPem } = await authority.issue({ commonName: "a", hosts: ["a"] });
  const until = Date.parse(new X509Certificate(certPem).validTo);
  const at = (days: number) => certificateCheck("c", certPem, until - days * DAY);
  expect(outcomes(at(30), at(13), at(0), at(-1))).toEqual(["ok", "warn", "fail", "fail"]);
  expect(at(13).seen).toContain("in 13 days");
  expect(certificateCheck("c", "no certificate", 0)).toMatchObject({ outcome: "fail", seen: "is no certificate" });
});

test("files of credentials: missing, empty, or open to everybody; never what is in them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "nexus-doctor-"));
  try {
    const path = join(folder, "password");
    const look = () => fileCheck({ variable: "NEXUS_REDIS_PASSWORD_FILE", path, isSecret: true }, Date.now());
    expect(await look()).toMatchObject({ outcome: "fail", seen: "cannot be read (ENOENT)" });
    await Bun.write(path, "");
    expect(await look()).toMatchObject({ outcome: "fail", seen: "is empty" });
    await Bun.write(path, "hunter2");
    await Bun.$`chmod 644 ${path}`;
    expect(await look()).toMatchObject({ outcome: "warn", fix: `chmod 600 ${path}` });
    await Bun.$`chmod 600 ${path}`;
    expect(await look()).toMatchObject({ outcome: "ok" });
    expect(JSON.stringify(await look())).not.toContain("hunter2");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("settings that contradict each other are failures, each with its variable", async () => {
  const outside = { resolve: async () => [], nowMs: () => 0 };
  const checks = await checkSettings({ NEXUS_ENGINE: "redis", NEXUS_HTTP_PORT: "x", NEXUS_REDIS_TOPOLOGI: "cluster" }, {}, outside);
  expect(checks.every(({ outcome, fix }) => outcome === "fail" && fix !== undefined)).toBe(true);
  expect(checks.map(checkLine).join("\n")).toMatch(/NEXUS_HTTP_PORT.*\n.*NEXUS_REDIS_TOPOLOGI/);
  const file = await checkSettings({ NEXUS_ENGINE: "redis", NEXUS_REDIS_PASSWORD_FILE: "/nowhere/password" }, {}, outside);
  expect(
    file
      .filter(({ outcome }) => outcome === "fail")
      .map(checkLine)
      .join("\n"),
  ).toContain("NEXUS_REDIS_PASSWORD_FILE");
});

describe("an operator", () => {
  const deployment = (spec: OperatorDeployment["spec"], readyReplicas: number, version?: string): OperatorDeployment => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: "nexus",
      namespace: "nexus-system",
      ...(version === undefined ? {} : { labels: { "app.kubernetes.io/version": version } }),
    },
    ...(spec ? { spec } : {}),
    status: { readyReplicas },
  });
  const container = (image: string, more: object = {}) => ({ replicas: 2, template: { spec: { containers: [{ image, ...more }] } } });

  test("that is not ready, half ready, or scaled away", () => {
    expect(outcomes(...[2, 1, 0].map((ready) => readyCheck(deployment({ replicas: 2 }, ready))))).toEqual(["ok", "warn", "fail"]);
    expect(readyCheck(deployment({ replicas: 0 }, 0))).toMatchObject({
      outcome: "fail",
      fix: "kubectl scale -n nexus-system deployment/nexus --replicas=2",
    });
  });

  test("of another release, by its label or its image", () => {
    expect(versionCheck(deployment(undefined, 1, "1.2.0"), "1.2.0").outcome).toBe("ok");
    expect(versionCheck(deployment(undefined, 1, "1.1.0"), "1.2.0")).toMatchObject({
      outcome: "warn",
      seen: "is 1.1.0, this program is 1.2.0",
    });
    expect(versionCheck(deployment(container("r:5000/nexus:1.2.0@sha256:abc"), 1), "1.2.0").outcome).toBe("ok");
    expect(versionCheck(deployment(container("nexus@sha256:abc"), 1), "1.2.0").outcome).toBe("skip");
  });

  test("is asked for rights where it was told to work", () => {
    expect(operatorSettings(deployment(undefined, 1))).toEqual({ leaseName: "nexus-operator", namespaces: [] });
    const env = [{ name: "NEXUS_OPERATOR_NAMESPACE", value: "a,b" }, { name: "NEXUS_OPERATOR_IDENTITY" }];
    expect(operatorSettings(deployment(container("x", { env, args: ["operator", "--lease-name=mine"] }), 1))).toMatchObject({
      leaseName: "mine",
      namespaces: ["a", "b"],
    });
  });
});

test("Kubernetes that is too old", () => {
  const of = (minor: string) => kubernetesCheck("API server", { gitVersion: `v1.${minor}`, major: "1", minor }).outcome;
  expect([of("30"), of("34+"), of("29"), kubernetesCheck("API server", undefined).outcome]).toEqual(["ok", "ok", "fail", "fail"]);
});

test("a pod's configuration ages", () => {
  const text = "# HELP x\nnexus_bundle_age_seconds 12.5\nnexus_bundle_age_seconds_other 99\n";
  expect([sampleOf(text, "nexus_bundle_age_seconds"), sampleOf(text, "nexus_gone")]).toEqual([12.5, undefined]);
  expect(outcomes(...[0, 179, 180, 600, -1, undefined].map((seconds) => ageCheck("p", seconds)))).toEqual([
    "ok",
    "ok",
    "warn",
    "fail",
    "fail",
    "skip",
  ]);
});

test("pods that do not have the configuration", () => {
  const of = (podsSynced?: number) => {
    const bundle = podsSynced === undefined ? {} : { bundle: { digest: "d".repeat(64), podsSynced, podsTotal: 2 } };
    const object = { ...cluster("shop"), metadata: { name: "live", namespace: "shop" }, status: bundle };
    return bundleCheck(asResource<NexusCluster>(object)).outcome;
  };
  expect([of(2), of(1), of()]).toEqual(["ok", "warn", "fail"]);
});

test("a broker that the pods do not reach", () => {
  const of = (status: string, reason: string) => {
    const conditions = [{ type: "RedisReady", status, reason, message: "1 of 2 pods wait", observedGeneration: 1 }];
    const object = { ...cluster("shop"), metadata: { name: "live", namespace: "shop" }, status: { conditions } };
    return brokerChecks(asResource<NexusCluster>(object));
  };
  expect(of("False", "RedisUnavailable")).toMatchObject([{ outcome: "fail", seen: expect.stringContaining("1 of 2 pods wait") }]);
  expect(of("False", "RedisUnavailable")[0]?.fix).toContain("spec.redis");
  expect([...of("Unknown", "Connecting"), ...of("True", "Available"), ...of("True", "NotRequested")].map(({ outcome }) => outcome)).toEqual(
    ["warn", "ok"],
  );
});

describe("a pod that is asked through the API server", () => {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "live-server-a", namespace: "shop" } };
  const asked: string[] = [];
  const connection = (answer: { readonly metrics?: string; readonly dateMs?: number; readonly error?: KubeError }): Connection => {
    const transport: Transport = {
      async request({ path }) {
        asked.push(path);
        if (answer.error) throw answer.error;
        return { status: 200, body: {}, ...(answer.dateMs === undefined ? {} : { dateMs: answer.dateMs }) };
      },
      async stream({ path }, onLine) {
        asked.push(path);
        if (answer.error) throw answer.error;
        for (const line of (answer.metrics ?? "").split("\n")) onLine(line);
      },
    };
    return { transport, api: createKubeApi({ transport }), namespace: "shop", server: "https://api" };
  };
  const NOW = Date.UTC(2030, 0, 1);
  const look = (answer: Parameters<typeof connection>[0]) => podChecks(connection(answer), pod, () => NOW);

  test("says how old its configuration is and what time it has", async () => {
    const well = await look({ metrics: "nexus_bundle_age_seconds 3", dateMs: NOW });
    expect(well.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual([
      "Pod shop/live-server-a configuration ok",
      "Pod shop/live-server-a clock ok",
    ]);
    expect(asked).toContain("/api/v1/namespaces/shop/pods/live-server-a%3A9090/proxy/metrics");
    expect(outcomes(...(await look({ metrics: "nexus_bundle_age_seconds 900", dateMs: NOW - 60_000 })))).toEqual(["fail", "fail"]);
  });

  test("is left out where it may not be asked, and is to look at where it does not answer", async () => {
    const error = (status: number) => new KubeError({ status, reason: "x", message: "no" });
    expect(outcomes(...(await look({ error: error(403) })))).toEqual(["skip"]);
    expect(outcomes(...(await look({ error: error(503) })))).toEqual(["warn"]);
  });
});
