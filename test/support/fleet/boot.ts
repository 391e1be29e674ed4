// Why: what the operator would mount into every pod of a fleet under test: one tenant, one key, rules that keep history.
// It must never hold anything that differs from node to node.
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChannelRule, TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import { Value } from "@sinclair/typebox/value";
import { writeBuckets } from "../boot-folder.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry } from "../bundle-entries.ts";

export type FleetBoot = AsyncDisposable & {
  readonly directory: string;
  readonly apiKey: string;
  tokenOf(user: string): string;
};

const SECRET = "a secret of a whole fleet under test";
const API_KEY = "a-key-for-the-fleet-under-test";
/** More than any fault lets pass, so that what is missing was lost and not trimmed. */
const KEPT = { size: 10_000, ttlSeconds: 600 };
const INBOX = { messages: 1000, ttlSeconds: 600 };

/** Channels `kept.*` and the broadcast have history, all others are live only. Rates per address and key are off. */
export async function writeBoot(): Promise<FleetBoot> {
  const directory = await mkdtemp(join(tmpdir(), "nexus-fleet-boot-"));
  const channels = ["kept.*", "@broadcast"].map((match) => Value.Default(ChannelRule, { match, history: KEPT }) as ChannelRule); // the schema fills the rest
  const entries = [
    clusterEntry({
      channels,
      limits: { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0, connectionsPerPod: 20_000 },
      delivery: { drainSeconds: 5, reconnectJitterSeconds: 2 },
    }),
    tenantEntry("default", {
      issuers: [secretIssuer(SECRET)],
      api_keys: [apiKey("backend", API_KEY)],
      quotas: Value.Default(TenantQuotas, { inbox: INBOX }) as TenantQuotas, // as above
    }),
  ];
  await writeBuckets(directory, entries);
  return {
    ...{ directory, apiKey: API_KEY, tokenOf },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function tokenOf(user: string): string {
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}
