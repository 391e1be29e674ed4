// Why: a write that is asked twice with one Idempotency-Key is done once and answered twice, whichever node is asked.
// It must never answer another scope's record, nor one that is a day old.
import { createHash } from "node:crypto";
import type { WriteRecords } from "../../core/record-ports.ts";
import { partitionOf } from "./keys.ts";
import type { Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

const DAY_MS = 86_400_000;
/** After this a write that never finished does not hold its key any longer. */
const STUCK_MS = 60_000;

/** A record is a hash: `f` fingerprint, `t` begun at, and once it is done `s` status and `b` body. */
const BEGIN: Script = {
  name: "nexusWriteBegin",
  lua: `
local now, stuck, day = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'f', 't', 's', 'b')
if known[1] then
  local age = now - tonumber(known[2])
  if age < day and (known[3] or age < stuck) then
    if known[1] ~= ARGV[1] then return {'conflict'} end
    if known[3] then return {'done', known[3], known[4]} end
    return {'in_flight'}
  end
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', ARGV[2])
redis.call('PEXPIRE', KEYS[1], day)
return {'begun'}`,
};

const FINISH: Script = {
  name: "nexusWriteFinish",
  lua: `
local known = redis.call('HMGET', KEYS[1], 'f', 's')
if known[1] and not known[2] then redis.call('HSET', KEYS[1], 's', ARGV[1], 'b', ARGV[2]) end
return 0`,
};

const ABANDON: Script = {
  name: "nexusWriteAbandon",
  lua: `
if redis.call('HEXISTS', KEYS[1], 's') == 0 then redis.call('DEL', KEYS[1]) end
return 0`,
};

/** Every call may throw `Failure` `broker_unavailable`: a key whose `begin` failed so may be held for a minute. */
export function createRedisWriteRecords({ link, keys, clock }: Pick<RedisParts, "link" | "keys" | "clock">): WriteRecords {
  /** Neither a tenant, an operation nor a key holds a line break. */
  const keyOf = (scope: string, key: string) => {
    const hash = createHash("sha256").update(`${scope}\n${key}`).digest("base64url");
    return keys.at(partitionOf(hash), "w", `${scope.slice(0, scope.indexOf("/"))}/${hash}`); // whose it is, for the purge
  };
  return {
    async begin(scope, { key, fingerprint }) {
      const reply = await link.run(BEGIN, [keyOf(scope, key)], [fingerprint, clock.now(), STUCK_MS, DAY_MS]);
      const [kind, status, body] = Array.isArray(reply) ? reply : [];
      if (kind === "done" && typeof body === "string") return { kind, answer: { status: Number(status), body } };
      if (kind === "begun" || kind === "in_flight" || kind === "conflict") return { kind };
      throw new Error("a script answered what it cannot say");
    },
    async finish(scope, key, { status, body }) {
      await link.run(FINISH, [keyOf(scope, key)], [status, body]);
    },
    async abandon(scope, key) {
      await link.run(ABANDON, [keyOf(scope, key)], []);
    },
  };
}
