// Why: what Redis says of itself decides whether it keeps what it confirmed. Pure: texts of INFO in, checks out.
import { type Check, fail, ok, warn } from "./check.ts";

export type Facts = ReadonlyMap<string, string>;

/** Lines `name:value` of INFO. */
export const factsOf = (info: string): Facts =>
  new Map(
    info
      .split(/\r?\n/)
      .flatMap((line) =>
        /^[a-z]/.test(line) && line.includes(":") ? [[line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]] : [],
      ),
  );

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`;

/** Redis deletes what is not its to delete, or refuses writes. */
export function memoryCheck(what: string, facts: Facts): Check {
  const [most, used, policy] = [
    Number(facts.get("maxmemory") ?? 0),
    Number(facts.get("used_memory") ?? 0),
    facts.get("maxmemory_policy") ?? "",
  ];
  if (policy !== "noeviction") {
    const seen = `maxmemory-policy is ${policy}: ${most === 0 ? "with a maxmemory " : ""}Redis would delete what people have not received`;
    const fix = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf";
    return most === 0 ? warn(what, seen, fix) : fail(what, seen, fix);
  }
  if (most === 0) return ok(what, `${mib(used)} used, no maxmemory`);
  const percent = Math.round((100 * used) / most);
  const seen = `${mib(used)} of ${mib(most)} used (${percent} %)`;
  if (percent >= 95)
    return fail(what, `${seen}: writes are refused when it is full`, "raise maxmemory, or shorten history and inbox quotas");
  if (percent >= 80) return warn(what, seen, "raise maxmemory, or shorten history and inbox quotas");
  return ok(what, seen);
}

/** `save`: CONFIG GET save; undefined where that may not be asked. */
export function persistenceCheck(what: string, facts: Facts, save: string | undefined): Check {
  if (facts.get("loading") === "1") return warn(what, "is still reading its data", "wait until it has read them");
  if (facts.get("aof_enabled") === "1") {
    if (facts.get("aof_last_write_status") === "err")
      return fail(
        what,
        "the append-only file cannot be written: publishes are refused",
        "make room on the disk of Redis; its log says what is wrong",
      );
    return ok(what, "append-only file");
  }
  if (facts.get("rdb_last_bgsave_status") === "err")
    return fail(
      what,
      "the last snapshot failed: publishes may be refused (MISCONF)",
      "make room on the disk of Redis; its log says what is wrong",
    );
  const fix = "appendonly yes in redis.conf; without it a restart of Redis takes inboxes and history away, and clients are told of a gap";
  if (save === undefined) return warn(what, "no append-only file", fix);
  return save === "" ? warn(what, "nothing is kept on a disk", fix) : warn(what, `snapshots only (save ${save})`, fix);
}

/** `wanted`: NEXUS_REDIS_REPLICAS. A standalone server has none to ask. */
export function replicationCheck(what: string, facts: Facts, wanted: number): Check {
  const there = Number(facts.get("connected_slaves") ?? 0);
  if (facts.get("role") !== "master") return fail(what, "is a replica", "point the addresses at the primary, or use Sentinel");
  if (there >= Math.max(wanted, 1)) return ok(what, `${there} of ${there} replicas connected`);
  if (there === 0) return warn(what, "no replica: nobody can take over", "start a replica; a failover needs one");
  return warn(
    what,
    `${there} replicas connected, a publish waits for ${wanted}`,
    `start ${wanted - there} more, or set NEXUS_REDIS_REPLICAS=${there}`,
  );
}

/** `ours`: layout of this release. `held`: layouts whose servers said so, by their lease in ms; `nowMs`: of the same Redis. */
export function layoutCheck(what: string, layouts: ReadonlyMap<number, number>, nowMs: number, ours: number): Check {
  const used = [...layouts].filter(([, untilMs]) => untilMs > nowMs).map(([layout]) => layout);
  const last = [...layouts].sort(([, a], [, b]) => b - a)[0]?.[0];
  const relevant = used.length > 0 ? used : last === undefined ? [] : [last];
  const far = relevant.find((layout) => Math.abs(layout - ours) > 1);
  if (far !== undefined)
    return fail(
      what,
      `is ${used.length > 0 ? "in use" : "written"} with key layout ${far}, this release has ${ours}`,
      "roll out the release in between first, or set another NEXUS_REDIS_PREFIX",
    );
  if (relevant.length === 0) return ok(what, "not used yet");
  return ok(what, `key layout ${relevant.join(", ")}${used.length > 0 ? ", in use" : ""}; this release has ${ours}`);
}
