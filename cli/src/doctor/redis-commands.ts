// Why: a Redis user that lacks one command makes a server that works until it needs it. Every command of ours is put into a
// transaction, where Redis checks the rights, and the transaction is thrown away: nothing is ever carried out.
import type { createOwn } from "@nexus/server/adapters/redis/connect-client.ts";
import { type Check, fail, ok, skip } from "./check.ts";

/** One connection to one server. */
export type Asked = ReturnType<typeof createOwn>;
type Command = readonly [string, ...string[]];

/** With as many arguments as each needs. A test holds the list against what the server's source calls. */
export const COMMANDS = (key: string, channel: string): readonly Command[] => [
  ["TIME"],
  ["INFO", "server"],
  ["DEL", key],
  ["UNLINK", key],
  ["EXISTS", key],
  ["EXPIRE", key, "1"],
  ["PEXPIRE", key, "1"],
  ["PTTL", key],
  ["SCAN", "0"],
  ["GET", key],
  ["SET", key, "1"],
  ["GETDEL", key],
  ["HSET", key, "f", "1"],
  ["HSETNX", key, "f", "1"],
  ["HGET", key, "f"],
  ["HMGET", key, "f"],
  ["HGETALL", key],
  ["HVALS", key],
  ["HKEYS", key],
  ["HLEN", key],
  ["HEXISTS", key, "f"],
  ["HINCRBY", key, "f", "1"],
  ["HDEL", key, "f"],
  ["HSCAN", key, "0"],
  ["ZADD", key, "1", "m"],
  ["ZREM", key, "m"],
  ["ZSCORE", key, "m"],
  ["ZCOUNT", key, "0", "1"],
  ["ZRANGEBYSCORE", key, "0", "1"],
  ["ZREMRANGEBYSCORE", key, "0", "1"],
  ["RPUSH", key, "1"],
  ["RPUSHX", key, "1"],
  ["LRANGE", key, "0", "0"],
  ["LLEN", key],
  ["LINDEX", key, "0"],
  ["LSET", key, "0", "1"],
  ["LTRIM", key, "0", "0"],
  ["EVAL", "return 1", "1", key],
  ["EVALSHA", "0".repeat(40), "1", key],
  ["SPUBLISH", channel, "x"],
  ["PUBLISH", channel, "x"],
];

/** What triggers need besides, on their own stream. */
export const TRIGGER_COMMANDS = (stream: string): readonly Command[] => [
  ["XADD", stream, "*", "f", "1"],
  ["XDEL", stream, "0-1"],
  ["XACK", stream, "g", "0-1"],
  ["XINFO", "CONSUMERS", stream, "g"],
  ["XGROUP", "CREATE", stream, "g", "0"],
  ["XGROUP", "DELCONSUMER", stream, "g", "c"],
  ["XREADGROUP", "GROUP", "g", "c", "STREAMS", stream, ">"],
  ["XAUTOCLAIM", stream, "g", "c", "0", "0"],
  ["XCLAIM", stream, "g", "c", "0", "0-1"],
  ["XPENDING", stream, "g"],
];

const NO_RIGHT = /^NOPERM/;
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Names of the commands that this user may not call; others of their kind that Redis does not know are named, too. */
export async function refusedCommands(client: Asked, commands: readonly Command[]): Promise<readonly string[]> {
  await client.call("MULTI");
  const refused: string[] = [];
  try {
    for (const [name, ...args] of commands) {
      const said = await client.call(name, ...args).then(String, textOf);
      if (NO_RIGHT.test(said) || /unknown command/i.test(said))
        refused.push(name === "XGROUP" || name === "XINFO" ? `${name} ${args[0]}` : name);
    }
  } finally {
    await client.call("DISCARD");
  }
  return refused;
}

export type Rights = {
  readonly client: Asked;
  readonly what: string;
  readonly commands: readonly Command[];
  readonly channels: readonly string[];
  readonly patterns: readonly string[];
};

/** `channels`: sharded channels, and `patterns` of others, to listen to; they are left at once. */
export async function rightsCheck({ client, what, commands, channels, patterns }: Rights): Promise<Check> {
  let refused: readonly string[];
  try {
    refused = await refusedCommands(client, commands);
  } catch (error) {
    if (!NO_RIGHT.test(textOf(error))) throw error;
    return skip(what, "this user may not call MULTI, so its rights cannot be tried without doing something");
  }
  const deaf: string[] = [];
  for (const channel of channels) {
    const said = await client.ssubscribe(channel).then(() => "", textOf);
    if (NO_RIGHT.test(said)) deaf.push("SSUBSCRIBE");
    else if (/^MOVED/.test(said))
      continue; // another node serves it; the right was looked at before that
    else if (said !== "") throw new Error(said);
    else await client.sunsubscribe(channel);
  }
  for (const pattern of patterns) {
    const said = await client.psubscribe(pattern).then(() => "", textOf);
    if (NO_RIGHT.test(said)) deaf.push("PSUBSCRIBE");
    else if (said !== "") throw new Error(said);
    else await client.punsubscribe(pattern);
  }
  const missing = [...new Set([...refused, ...deaf])];
  if (missing.length === 0) return ok(what, `may call all ${commands.length + channels.length + patterns.length} commands Nexus uses`);
  const fix = `ACL SETUSER <user> ${missing.map((name) => `+${name.toLowerCase().replace(" ", "|")}`).join(" ")}, and its keys and channels as docs/doctor.md has them`;
  return fail(what, `may not call ${missing.join(", ")}`, fix);
}
