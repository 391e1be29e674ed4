// Why: before the first user, and at night, one command says what an installation lacks, and what mends it. It must never change
// anything: it lists, reads and asks.
import type { Arguments, Usage } from "../args.ts";
import { command, oneOf, UsageError } from "../command.ts";
import { type Check, checkLine, hasFailed, summaryOf } from "../doctor/check.ts";
import { checkInstallation } from "../doctor/installation.ts";
import { systemResolve } from "../doctor/names.ts";
import { checkSettings, type Given } from "../doctor/settings.ts";
import type { Io } from "../io.ts";
import { connect, KUBE_OPTIONS } from "../kube/connect.ts";

const USAGE: Usage = {
  line: "doctor [CLUSTER] [flags]",
  about:
    "Checks everything an installation needs, one line each: ok, WARN, FAIL with what mends it, or ? for what could not be looked at.\nAgainst a Kubernetes cluster: the API server, our CRDs, rights, the operator, every NexusCluster with its pods, certificates and hosts.\nWith --settings, --redis-url or --postgres-url: what one server would be started with, from this machine. Ends with 1 when a check failed.",
  options: [
    ...KUBE_OPTIONS,
    { name: "--all-namespaces", short: "-A", about: "NexusClusters of every namespace." },
    { name: "--settings", about: "Check the NEXUS_* variables of this environment instead of a cluster." },
    { name: "--redis-url", value: "URL", about: "Check this Redis: redis://user:password@host:6379/0 (rediss for TLS)." },
    { name: "--redis-topology", value: "KIND", about: "standalone (default), sentinel or cluster; for --redis-url." },
    { name: "--redis-master-name", value: "NAME", about: "What the Sentinels call the primary (mymaster)." },
    { name: "--postgres-url", value: "URL", about: "Check this PostgreSQL: postgres://user:password@host:5432/database." },
    { name: "--output", short: "-o", value: "FORMAT", about: "text (default) or json." },
  ],
  examples: ["doctor", "doctor live -n shop", "doctor --settings", "doctor --redis-url redis://10.0.0.7:6379 -o json"],
  words: "CLUSTER",
};

export const doctor = command(USAGE, async (args, io) => {
  const format = oneOf(args, "--output", ["text", "json"], "text");
  const checks = isLocal(args) ? await local(args, io) : await remote(args, io);
  if (format === "json") io.out(JSON.stringify({ ok: !hasFailed(checks), checks }, undefined, 2));
  else for (const line of [...checks.map(checkLine), "", summaryOf(checks)]) io.out(line);
  return hasFailed(checks) ? 1 : 0;
});

const LOCAL = ["--settings", "--redis-url", "--postgres-url"] as const;
const isLocal = (args: Arguments): boolean => LOCAL.some((name) => args.has(name));

const nowMs = (): number => Date.now();

async function local(args: Arguments, io: Io): Promise<readonly Check[]> {
  for (const { name } of [...KUBE_OPTIONS, { name: "--all-namespaces" }])
    if (args.has(name)) throw new UsageError(`${name}: does not go with ${LOCAL.find((one) => args.has(one))}`);
  if (args.words.length > 0) throw new UsageError(`${args.words[0]}: a CLUSTER does not go with ${LOCAL.find((one) => args.has(one))}`);
  if (args.has("--settings") && (args.has("--redis-url") || args.has("--postgres-url")))
    throw new UsageError("--settings: does not go with an address");
  const [redisUrl, postgresUrl, masterName] = [args.get("--redis-url"), args.get("--postgres-url"), args.get("--redis-master-name")];
  const topology = oneOf(args, "--redis-topology", ["standalone", "sentinel", "cluster"], "standalone");
  const given: Given = {
    topology,
    ...(redisUrl === undefined ? {} : { redisUrl }),
    ...(postgresUrl === undefined ? {} : { postgresUrl }),
    ...(masterName === undefined ? {} : { masterName }),
  };
  return await checkSettings(io.env, given, { resolve: systemResolve, nowMs });
}

async function remote(args: Arguments, io: Io): Promise<readonly Check[]> {
  const [name, ...rest] = args.words;
  if (rest.length > 0) throw new UsageError(`${rest[0]}: only one CLUSTER`);
  if (name !== undefined && args.has("--all-namespaces")) throw new UsageError("--all-namespaces: does not go with a CLUSTER");
  for (const flag of ["--redis-topology", "--redis-master-name"])
    if (args.has(flag)) throw new UsageError(`${flag}: goes with --redis-url`);
  const scope = { name, isEverywhere: args.has("--all-namespaces") };
  return await checkInstallation(() => connect(args, io), scope, { resolve: systemResolve, nowMs });
}
