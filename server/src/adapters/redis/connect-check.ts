// Why: before the first command it is clear whether what the configuration names is what it says: reachable, the right
// kind, new enough, and letting us in. What can heal is waited for; what cannot ends the start with a line that says what
// to change. It must never be asked again later: a fleet that runs is not ended by a check.
import type { Redis } from "ioredis";
import { systemClock } from "../clock.ts";
import { type ClientOptions, connected, createOwn } from "./connect-client.ts";
import { createDeadlines } from "./connect-deadlines.ts";
import { isReply } from "./connect-faults.ts";
import { addressOf, type Place, placeOf } from "./topology.ts";

/** `wait`: may heal by itself. `wrong`: never does. `reason` names settings and addresses, never a secret. */
export type Finding = { readonly kind: "ready" } | { readonly kind: "wait" | "wrong"; readonly reason: string };

export type CheckOptions = Pick<ClientOptions, "topology" | "addresses" | "masterName" | "database" | "commandTimeoutMs" | "credentials">;

const READY: Finding = { kind: "ready" };

/** Contradictions that need no connection; empty when there are none. */
export function contradictions({ topology, addresses, database }: CheckOptions): readonly string[] {
  const found: string[] = [];
  if (topology === "cluster" && database !== 0) found.push(`NEXUS_REDIS_DATABASE is ${database}, but a Cluster has only database 0`);
  if (topology === "standalone" && addresses.length > 1)
    found.push("NEXUS_REDIS_ADDRESSES names several servers, but NEXUS_REDIS_TOPOLOGY is standalone");
  return found;
}

/** Asks the configured addresses, one by one until one says what the rest is about. */
export async function check(options: CheckOptions): Promise<Finding> {
  let last: Finding = { kind: "wait", reason: "no address" };
  for (const address of options.addresses) {
    last = await checkOne(placeOf(address), options);
    if (last.kind !== "wait") return last;
  }
  return last;
}

async function checkOne(place: Place, options: CheckOptions): Promise<Finding> {
  const { topology } = options;
  if (topology === "sentinel") return await checkSentinel(place, options);
  const said = await hello(place, options, options.credentials);
  if ("kind" in said) return said;
  const wanted = topology === "cluster" ? "cluster" : "standalone";
  if (said.mode !== wanted) return wrong(place, `${ROLES[said.mode] ?? said.mode}, but NEXUS_REDIS_TOPOLOGY is ${topology}`);
  if (topology === "standalone" && said.role !== "master") return wait(place, "is a replica; a primary is needed");
  return READY;
}

async function checkSentinel(place: Place, options: CheckOptions): Promise<Finding> {
  const { credentials, masterName } = options;
  const asSentinel = { ...credentials, username: () => undefined, password: credentials.sentinelPassword };
  let primary: Place | undefined;
  const said = await hello(place, { ...options, database: 0 }, asSentinel, async (client) => {
    const answer = await client.call("SENTINEL", "get-master-addr-by-name", masterName);
    if (Array.isArray(answer)) primary = { host: String(answer[0]), port: Number(answer[1]) };
  });
  if ("kind" in said) return said;
  if (said.mode !== "sentinel") return wrong(place, `${ROLES[said.mode] ?? said.mode}, but NEXUS_REDIS_TOPOLOGY is sentinel`);
  if (!primary) return wrong(place, `is a Sentinel that knows no NEXUS_REDIS_MASTER_NAME ${masterName}`);
  const behind = await hello(primary, options, credentials);
  if ("kind" in behind) return behind;
  return behind.role === "master" ? READY : wait(primary, "is named primary and is a replica still");
}

const ROLES: Readonly<Record<string, string>> = {
  standalone: "is a standalone Redis",
  cluster: "is a node of a Redis Cluster",
  sentinel: "is a Sentinel",
};

type Hello = { readonly version: string; readonly mode: string; readonly role: string };

async function hello(
  place: Place,
  options: CheckOptions,
  credentials: CheckOptions["credentials"],
  more: (client: Redis) => Promise<void> = async () => undefined,
): Promise<Hello | Finding> {
  const client = createOwn(place, { ...options, credentials, name: "nexus-check" });
  client.options.enableReadyCheck = false; // a Redis that loads its data answers this all the same
  const ask = async (): Promise<Hello | Finding> => {
    await connected(client);
    const said = fieldsOf(await client.call("HELLO"));
    if (Number.parseInt(said.version, 10) < 7) return wrong(place, `is Redis ${said.version}; Redis 7 or Valkey is needed`);
    if (said.mode === "sentinel") await more(client);
    return said;
  };
  const deadlines = createDeadlines(Math.max(1000, options.commandTimeoutMs) * 2, systemClock);
  try {
    return await deadlines.within(ask());
  } catch (error) {
    return explain(place, error, options);
  } finally {
    deadlines.close();
    client.disconnect();
  }
}

/** `HELLO` answers names and values in turn. */
function fieldsOf(answer: unknown): Hello {
  const list: readonly unknown[] = Array.isArray(answer) ? answer : [];
  const field = (name: string) => String(list[list.indexOf(name) + 1] ?? "");
  return { version: field("version"), mode: field("mode"), role: field("role") };
}

/** Codes of a certificate that is not trusted, expired or somebody else's. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/;

function explain(place: Place, error: unknown, { topology, credentials }: CheckOptions): Finding {
  const text = error instanceof Error ? error.message : String(error);
  if (isReply(error)) {
    if (/^(WRONGPASS|NOAUTH|NOPERM)|invalid password/.test(text)) {
      const files = topology === "sentinel" ? ", NEXUS_REDIS_SENTINEL_PASSWORD_FILE" : "";
      return wrong(place, `refused the credentials of NEXUS_REDIS_USERNAME_FILE, NEXUS_REDIS_PASSWORD_FILE${files}: ${text}`);
    }
    if (/DB index is out of range/.test(text)) return wrong(place, `has no such database, see NEXUS_REDIS_DATABASE: ${text}`);
    if (/unknown command/i.test(text)) return wrong(place, `is older than Redis 7: ${text}`);
    return wait(place, text);
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (credentials.tls() !== undefined && (CERTIFICATE.test(code) || /altname/i.test(text))) {
    return wrong(place, `shows a certificate that NEXUS_REDIS_CA_FILE or NEXUS_REDIS_SERVER_NAME does not allow: ${text}`);
  }
  if (/wrong version number|packet length too long/i.test(text)) return wrong(place, `speaks no TLS, see NEXUS_REDIS_TLS: ${text}`);
  const hint = /closed|ECONNRESET|ETIMEDOUT/.test(text) ? HINTS[credentials.tls() ? "tls" : "plain"] : "";
  return wait(place, `${text || code || "no answer"}${hint}`);
}

/** Neither side of such a misunderstanding says a word. */
const HINTS = {
  plain: " (does it ask for TLS? see NEXUS_REDIS_TLS)",
  tls: " (does it speak TLS? see NEXUS_REDIS_TLS)",
} as const;

const finding =
  (kind: "wait" | "wrong") =>
  (place: Place, reason: string): Finding => ({
    kind,
    reason: `NEXUS_REDIS_ADDRESSES: ${addressOf(place)} ${reason}`,
  });
const wait = finding("wait");
const wrong = finding("wrong");
