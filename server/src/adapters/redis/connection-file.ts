// Why: how Redis is reached lies in one mounted file that is replaced while the server runs. It is read as a whole or not
// taken at all. It must never show what is in the file: it holds passwords and keys.
import { readFileSync } from "node:fs";
import { RedisConnection } from "@nexus/protocol/redis-connection.ts";
import { Value } from "@sinclair/typebox/value";
import type { Credentials } from "./credentials.ts";

/** @throws Error that names the setting and says what is wrong, without any value */
export function readConnection(file: string): RedisConnection {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // The parser's own message quotes the text.
    const why = error instanceof SyntaxError ? "it is not JSON" : "it cannot be read";
    throw new Error(`NEXUS_REDIS_CONNECTION_FILE: ${file}: ${why}`, error instanceof SyntaxError ? {} : { cause: error });
  }
  const wrong = Value.Errors(RedisConnection, value).First();
  if (wrong) throw new Error(`NEXUS_REDIS_CONNECTION_FILE: ${file}: ${wrong.path || "/"} does not match what is expected there`);
  return value as RedisConnection; // checked just above
}

/** What decides which Redis is talked to, and how: another text means connecting anew. Credentials are no part of it. */
export const placeOf = ({ topology, addresses, masterName, database, tls }: RedisConnection): string =>
  JSON.stringify([topology, addresses, masterName, database, tls !== undefined]);

/** Asked anew for each connection. */
export function credentialsOf(connection: () => RedisConnection): Credentials {
  return {
    username: () => connection().username,
    password: () => connection().password,
    sentinelPassword: () => connection().sentinelPassword,
    tls: () => connection().tls,
  };
}
