// Why: what an operator process can be told, with defaults, in one place; the environment and flags come in as data. Every
// complaint names the setting and what would be right.

import { isCollectorUrl, LOG_LEVELS, type LogLevel } from "@nexus/protocol/config.ts";

export type OperatorOptions = {
  /** Image of the servers released with this operator. */
  readonly serverImage: string;
  /** Image of a managed Redis or Valkey; undefined: the one released with this operator. */
  readonly redisImage: string | undefined;
  /** Where the pages about alerts are published, if not where ours are; links in alerts and dashboards begin with it. */
  readonly runbookBaseURL: string | undefined;
  /** Empty: all namespaces. Otherwise nothing outside of these is looked at, and no right over the whole cluster is needed. */
  readonly namespaces: readonly string[];
  /** Label selector of NexusClusters, Tenants and Templates; what it leaves out is not looked at. */
  readonly selector: string | undefined;
  readonly leaseNamespace: string | undefined;
  readonly leaseName: string;
  /** Where the operator's own pods are and how they are labelled, for NetworkPolicies. Undefined: not in a pod. */
  readonly pods: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> } | undefined;
  /** Tells two operators apart that watch the same objects. */
  readonly operatorId: string;
  /** Unique per process. */
  readonly identity: string;
  /** `/metrics`, `/healthz`, `/readyz`, on all addresses. */
  readonly port: number;
  /** `/log-level`, on the loopback address only. */
  readonly localPort: number;
  readonly logLevel: LogLevel;
  /** Spans of passes over OTLP. `endpoint` empty: none. `headersFile`: headers for the collector, `name=value`; empty: none. */
  readonly tracing: { readonly endpoint: string; readonly samplePercent: number; readonly headersFile: string };
  readonly workers: number;
  /** Lease, renew and retry in seconds. */
  readonly leaseSeconds: number;
  readonly renewSeconds: number;
  readonly retrySeconds: number;
  /** How often pods are asked how loaded they are, while a size depends on it. */
  readonly scalingSeconds: number;
  /** A watch that brings nothing for so long is dead. The API server sends a bookmark about every 60 s. */
  readonly watchSilenceSeconds: number;
};

type Sources = { readonly env: Readonly<Record<string, string | undefined>>; readonly flags: ReadonlyMap<string, string> };

export const DEFAULT_IMAGE = "nexus.dev/nexus:0.1.0";

const DEFAULT_POD_LABELS = "app.kubernetes.io/name=nexus-operator";

const WEB_ADDRESS = /^https?:\/\/[^\s"]+$/;

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** `a=b,c=d` as labels; undefined when it is not that. */
function labelsOf(text: string): Record<string, string> | undefined {
  const pairs = text.split(",").map((pair) => pair.split("="));
  return pairs.every((pair) => pair.length === 2 && pair[0] !== "") ? Object.fromEntries(pairs) : undefined;
}

/** `--lease-name` and `NEXUS_OPERATOR_LEASE_NAME` are the same setting; the flag wins. */
export function parseOptions({
  env,
  flags,
}: Sources): { readonly ok: true; readonly options: OperatorOptions } | { readonly ok: false; readonly errors: readonly string[] } {
  const errors: string[] = [];
  const known = new Set<string>();
  const text = (name: string): string | undefined => {
    known.add(`--${name}`);
    const value = flags.get(`--${name}`) ?? env[`NEXUS_OPERATOR_${name.toUpperCase().replaceAll("-", "_")}`];
    return value === "" ? undefined : value;
  };
  const whole = (name: string, fallback: number, minimum: number, maximum: number): number => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= minimum && number <= maximum) return number;
    errors.push(`--${name}: must be a whole number from ${minimum} to ${maximum}`);
    return fallback;
  };
  const ownPods = (): OperatorOptions["pods"] => {
    const at = text("pod-namespace");
    const labels = labelsOf(text("pod-labels") ?? DEFAULT_POD_LABELS);
    if (!labels) errors.push("--pod-labels: must be name=value, several joined by commas");
    return at === undefined || !labels ? undefined : { namespace: at, labels };
  };
  const runbooks = (): string | undefined => {
    const url = text("runbook-base-url");
    if (url !== undefined && !WEB_ADDRESS.test(url))
      errors.push("--runbook-base-url: must be an address that begins with http:// or https://");
    return url;
  };
  const namespaces = (): readonly string[] => {
    const names = [...new Set((text("namespace") ?? "").split(",").map((name) => name.trim()))].filter((name) => name !== "").sort();
    for (const name of names) if (!NAMESPACE.test(name)) errors.push(`--namespace: ${name} is no name of a namespace`);
    return names;
  };
  const collector = (): string => {
    const endpoint = text("tracing-endpoint") ?? "";
    if (!isCollectorUrl(endpoint)) errors.push("--tracing-endpoint: must be an address such as http://otel:4318, without credentials");
    return endpoint;
  };
  const logLevel = (): LogLevel => {
    const wanted = text("log-level") ?? "info";
    const level = LOG_LEVELS.find((one) => one === wanted);
    if (!level) errors.push(`--log-level: must be one of ${LOG_LEVELS.join(", ")}`);
    return level ?? "info";
  };
  const options: OperatorOptions = {
    serverImage: text("server-image") ?? DEFAULT_IMAGE,
    redisImage: text("redis-image"),
    runbookBaseURL: runbooks(),
    namespaces: namespaces(),
    selector: text("selector"),
    leaseNamespace: text("lease-namespace"),
    leaseName: text("lease-name") ?? "nexus-operator",
    pods: ownPods(),
    operatorId: text("id") ?? "default",
    identity: text("identity") ?? `${env.HOSTNAME ?? "operator"}-${crypto.randomUUID().slice(0, 8)}`,
    port: whole("port", 8080, 0, 65535),
    localPort: whole("local-port", 8081, 0, 65535),
    logLevel: logLevel(),
    tracing: {
      endpoint: collector(),
      samplePercent: whole("tracing-sample-percent", 0, 0, 100),
      headersFile: text("tracing-headers-file") ?? "",
    },
    workers: whole("workers", 8, 1, 64),
    leaseSeconds: whole("lease-seconds", 15, 1, 300),
    renewSeconds: whole("renew-seconds", 10, 1, 300),
    retrySeconds: whole("retry-seconds", 2, 1, 60),
    scalingSeconds: whole("scaling-seconds", 15, 1, 300),
    watchSilenceSeconds: whole("watch-silence-seconds", 90, 1, 3600),
  };
  if (options.renewSeconds >= options.leaseSeconds) errors.push("--renew-seconds: must be less than --lease-seconds");
  if (options.retrySeconds >= options.renewSeconds) errors.push("--retry-seconds: must be less than --renew-seconds");
  for (const name of flags.keys()) if (!known.has(name)) errors.push(`${name}: no such setting; one of ${[...known].sort().join(", ")}`);
  return errors.length > 0 ? { ok: false, errors } : { ok: true, options };
}
