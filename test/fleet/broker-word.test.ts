// Why: the operator asks servers whether they reach their broker; one that waits for it must be able to answer before it
// serves anybody, and say what it waits for.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN_PATHS, AdminStatus } from "@nexus/protocol/admin.ts";
import { Value } from "@sinclair/typebox/value";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { ADMIN_NAME, ADMIN_TOKEN, adminFiles, startRealServer } from "../support/real-server.ts";
import { startRedis } from "../support/redis/server.ts";

test("a server says what it waits for, that it is there, and that it is gone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "nexus-word-"));
  await using files = await adminFiles();
  const [adminPort, redisPort] = [await freePort(), await freePort()];
  const connectionFile = join(folder, "connection.json");
  const connection = { topology: "standalone", database: 0, addresses: [`127.0.0.1:${redisPort}`] };
  await Bun.write(connectionFile, JSON.stringify({ ...connection, password: "guess" }));
  const env = {
    ...files.env,
    ...{ NEXUS_ADMIN_PORT: String(adminPort), NEXUS_ENGINE: "redis", NEXUS_REDIS_CONNECTION_FILE: connectionFile },
    ...{ NEXUS_REDIS_REREAD_SECONDS: "1", NEXUS_REDIS_COMMAND_TIMEOUT_MILLISECONDS: "500" },
  };
  const status = async (): Promise<AdminStatus> => {
    const answer = await fetch(`https://127.0.0.1:${adminPort}${ADMIN_PATHS.status}`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      tls: { ca: files.ca, serverName: ADMIN_NAME },
      keepalive: false,
    });
    return Value.Decode(AdminStatus, await answer.json());
  };
  const says = (state: "up" | "down", words: string) =>
    eventually(`it is ${state}: ${words}`, async () => {
      const { broker } = await status();
      if (broker?.state === state && broker.detail.includes(words)) return true;
      throw new Error(JSON.stringify(broker));
    });
  const starting = startRealServer({ env });
  try {
    await says("down", `127.0.0.1:${redisPort}`);
    expect(await status()).toMatchObject({ ready: false, sessions: 0 });
    await using redis = await startRedis({ port: redisPort, settings: ["requirepass secret"] });
    await says("down", "refused the credentials");
    expect(JSON.stringify(await status())).not.toContain("guess");
    await Bun.write(connectionFile, JSON.stringify({ ...connection, password: "secret" }));
    await using _server = await starting;
    await says("up", "");
    await redis.kill();
    await says("down", "Redis");
    await redis.restart();
    await says("up", "");
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);
