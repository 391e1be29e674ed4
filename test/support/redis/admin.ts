// Why: tests steer a Redis from outside: they fail it over, move its slots, count its commands. One connection per command,
// so that nothing is remembered of a server that was killed. It must never be on the way of what is tested.
import { RedisClient } from "bun";

export type RedisPlace = { readonly host: string; readonly port: number };
/** `ca`: PEM of the authority, where the server speaks TLS. */
export type AdminOptions = { readonly ca?: string };

/** One command to one server; errors of Redis reject with their text. */
export async function redisCommand(place: RedisPlace, command: readonly (string | number)[], { ca }: AdminOptions = {}): Promise<unknown> {
  const [name = "", ...args] = command.map(String);
  const options = { connectionTimeout: 2000, autoReconnect: false, maxRetries: 0, enableOfflineQueue: true };
  const client = new RedisClient(`${ca === undefined ? "redis" : "rediss"}://${place.host}:${place.port}`, {
    ...options,
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  try {
    return await client.send(name, args);
  } finally {
    client.close();
  }
}

/** As `redisCommand`, for commands that answer text. */
export async function redisText(place: RedisPlace, ...command: readonly (string | number)[]): Promise<string> {
  const answer = await redisCommand(place, command);
  if (typeof answer !== "string") throw new Error(`${command.join(" ")} answered ${Bun.inspect(answer)}`);
  return answer;
}

/** One field of `INFO`, such as `role` or `total_commands_processed`. */
export async function redisInfo(place: RedisPlace, section: string, field: string): Promise<string> {
  const text = await redisText(place, "INFO", section);
  const found = new RegExp(`^${field}:(.*)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`INFO ${section} has no ${field}`);
  return found.trim();
}
