// Why: what goes wrong with rotation goes wrong years after it was written. Three years pass here in steps, with pods that read
// their files late, an operator that dies between steps, and writes whose answers are lost: no pod may ever refuse the operator,
// nor the operator a pod.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import * as certificates from "@nexus/operator/kube/certificates.ts";
import { type AdminCredentials, ensureAdminCredentials } from "@nexus/operator/loop/admin-credentials.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import { type SecretObject, SecretSource } from "@nexus/operator/loop/secret-source.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster } from "../bundle/fixtures.ts";

setDefaultTimeout(60_000);

const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2026, 0, 1);
const NAMES = ["live-admin-ca", "live-admin-tls", "live-admin-token"] as const;

type Api = Pick<KubeApi, "get" | "create" | "update">;

/** Secrets with resource versions. `fault` is asked at each write: before it happens, after (the answer is lost), or not at all. */
function secretStore(clock: ManualClock, fault: () => "before" | "after" | undefined = () => undefined) {
  const objects = new Map<string, SecretObject>();
  let version = 0;
  let writes = 0;
  const lost = () => new KubeError({ status: 0, reason: "Network", message: "the connection broke" });
  const write = (object: SecretObject): SecretObject => {
    const now = fault();
    if (now === "before") throw lost();
    writes++;
    const creationTimestamp = object.metadata.creationTimestamp ?? new Date(clock.wallMs()).toISOString();
    const stored = { ...object, metadata: { ...object.metadata, creationTimestamp, resourceVersion: String(++version) } };
    objects.set(object.metadata.name, stored);
    if (now === "after") throw lost();
    return stored;
  };
  // Everything that is asked for here is a Secret.
  const api = {
    get: async ({ name }: { name: string }) => objects.get(name),
    create: async (_kind: unknown, object: SecretObject) => {
      if (objects.has(object.metadata.name)) throw new KubeError({ status: 409, reason: "AlreadyExists", message: "it exists" });
      return write(object);
    },
    update: async (_kind: unknown, object: SecretObject) => {
      const known = objects.get(object.metadata.name)?.metadata.resourceVersion;
      if (known !== object.metadata.resourceVersion) throw new KubeError({ status: 409, reason: "Conflict", message: "it changed" });
      return write(object);
    },
  } as unknown as Api;
  return {
    objects,
    api: api as KubeApi, // the passes here use no other verb
    writes: () => writes,
    text: (name: string, key: string) => Buffer.from(objects.get(name)?.data?.[key] ?? "", "base64").toString(),
  };
}

type Store = ReturnType<typeof secretStore>;

/** An operator process: what it knows besides the Secrets is gone with it. */
const operatorOf = (store: Store, clock: ManualClock) => {
  const secrets = new SecretSource({ api: store.api, stores: [], clock });
  return () =>
    ensureAdminCredentials(aCluster(), {
      ...{ api: store.api, secrets, certificates, manager: "nexus-operator", operatorId: "default" },
      wallMs: clock.wallMs(),
    });
};

const credentialsOf = async (pass: () => Promise<AdminCredentials | string>): Promise<AdminCredentials> => {
  const found = await pass();
  if (typeof found === "string") throw new Error(found);
  return found;
};

const pems = (text: string): X509Certificate[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem));
const isValidAt = (one: X509Certificate, ms: number) => one.validFromDate.getTime() <= ms && ms <= one.validToDate.getTime();

/** What a pod read of its files, and how many looks ago. */
type Pod = { leaf: string; tokens: string; staleLooks: number };

/** What a handshake and a request between the two would come to; undefined: it works. */
function refusal({ ca, token }: AdminCredentials, pod: Omit<Pod, "staleLooks">, nowMs: number): string | undefined {
  const [leaf] = pems(pod.leaf);
  if (!leaf || !isValidAt(leaf, nowMs)) return "the pod's certificate is not valid now";
  const issuer = pems(ca).find((one) => leaf.verify(one.publicKey));
  if (!issuer) return "the operator does not trust the pod's certificate";
  if (!isValidAt(issuer, nowMs)) return "the authority is not valid now";
  return pod.tokens.split("\n").includes(token) ? undefined : "the pod does not take the token";
}

/** Numbers that look random and are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

describe("three years", () => {
  test.each([1, 2, 3])("pass without a refusal: pods lag, operators die, answers are lost (seed %d)", async (seed) => {
    const random = seeded(seed);
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock, () => (random() < 0.2 ? (random() < 0.5 ? "before" : "after") : undefined));
    let pass = operatorOf(store, clock);
    const read = (): Pod => ({
      leaf: store.text("live-admin-tls", "tls.crt"),
      tokens: store.text("live-admin-token", "token"),
      staleLooks: 0,
    });
    let credentials: AdminCredentials | undefined;
    let seen = "";
    let changedMs = 0;
    const pods: Pod[] = [];
    const refused: string[] = [];
    const [authorities, leaves, tokens] = [new Set<string>(), new Set<string>(), new Set<string>()];
    while (clock.wallMs() < START_MS + 3 * 365 * DAY_MS) {
      if (random() < 0.1) pass = operatorOf(store, clock); // another process leads
      try {
        credentials = await credentialsOf(pass);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error; // a write failed: what was known before is used on
      }
      if (credentials) {
        if (random() < 0.01) pods.shift(); // one starts anew and reads what is there
        while (pods.length < 3) pods.push(read());
        for (const pod of pods) {
          const why = refusal(credentials, pod, clock.wallMs());
          if (why) refused.push(`${new Date(clock.wallMs()).toISOString()}: ${why}`);
          // Five hours late at the most.
          if (random() < 0.4 || ++pod.staleLooks >= 2) Object.assign(pod, read());
        }
      }
      authorities.add(store.text("live-admin-ca", "tls.crt"));
      leaves.add(store.text("live-admin-tls", "tls.crt"));
      tokens.add(store.text("live-admin-token", "token").split("\n")[0] ?? "");
      const now = NAMES.map((name) => store.objects.get(name)?.metadata.resourceVersion).join();
      if (now !== seen) changedMs = clock.wallMs();
      seen = now;
      // Nothing to be late for: longer steps.
      await clock.advance(clock.wallMs() - changedMs < 2 * DAY_MS ? 2.5 * HOUR_MS : 20 * HOUR_MS);
    }
    expect(refused).toEqual([]);
    expect(authorities.size).toBeGreaterThanOrEqual(3); // empty, first, renewed after 487 days, again after 974
    expect(leaves.size).toBeGreaterThanOrEqual(18); // every 60 days
    expect(tokens.size).toBeGreaterThanOrEqual(11); // every 90 days
  });

  test("end with one authority trusted, one token accepted and nothing written while nothing is due", async () => {
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock);
    const pass = operatorOf(store, clock);
    const trusted: number[] = [];
    for (let day = 0; day < 3 * 365; day++) {
      trusted.push(pems((await credentialsOf(pass)).ca).length);
      const before = store.writes();
      await credentialsOf(pass);
      expect(store.writes()).toBe(before);
      await clock.advance(DAY_MS);
    }
    const overlapDays = trusted.filter((count) => count === 2).length;
    expect(overlapDays).toBeGreaterThanOrEqual(180); // 90 days for each of two renewals
    expect(overlapDays).toBeLessThanOrEqual(184);
    expect(Math.max(...trusted)).toBe(2);
    expect(store.text("live-admin-token", "token").trim().split("\n")).toHaveLength(1);
  });
});

describe("the token", () => {
  test("is added, used and alone, a step every six hours, after 90 days", async () => {
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock);
    const pass = operatorOf(store, clock);
    const first = (await credentialsOf(pass)).token;
    const lines = () => store.text("live-admin-token", "token").trim().split("\n");
    await clock.advance(90 * DAY_MS);
    expect((await credentialsOf(pass)).token).toBe(first);
    const [, second] = lines();
    expect(lines()).toEqual([first, second ?? ""]);
    await clock.advance(5 * HOUR_MS);
    expect((await credentialsOf(pass)).token).toBe(first);
    await clock.advance(HOUR_MS);
    expect((await credentialsOf(pass)).token).toBe(second ?? "");
    expect(lines()).toEqual([second ?? "", first]);
    await clock.advance(6 * HOUR_MS);
    expect((await credentialsOf(pass)).token).toBe(second ?? "");
    expect(lines()).toEqual([second ?? ""]);
  });
});

describe("what somebody did to a Secret is mended", () => {
  const damage: readonly (readonly [string, (typeof NAMES)[number], Readonly<Record<string, string>> | undefined])[] = [
    ["the authority is gone", "live-admin-ca", undefined],
    ["the authority is no certificate", "live-admin-ca", { "tls.crt": "eA==", "tls.key": "eA==" }],
    ["the leaf is gone", "live-admin-tls", undefined],
    ["the leaf is no certificate", "live-admin-tls", { "tls.crt": "eA==", "tls.key": "eA==" }],
    ["the token is gone", "live-admin-token", undefined],
    ["the token is empty", "live-admin-token", { token: "" }],
  ];
  test.each(damage)("%s", async (_what, name, data) => {
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock);
    await credentialsOf(operatorOf(store, clock));
    const object = store.objects.get(name);
    if (data && object) store.objects.set(name, { ...object, data });
    else store.objects.delete(name);
    await clock.advance(HOUR_MS);
    const credentials = await credentialsOf(operatorOf(store, clock));
    const pod = { leaf: store.text("live-admin-tls", "tls.crt"), tokens: store.text("live-admin-token", "token") };
    expect(refusal(credentials, pod, clock.wallMs())).toBeUndefined();
  });

  test("an operator that was away for two years finds everything expired and makes it anew", async () => {
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock);
    await credentialsOf(operatorOf(store, clock));
    await clock.advance(800 * DAY_MS);
    const credentials = await credentialsOf(operatorOf(store, clock));
    const pod = { leaf: store.text("live-admin-tls", "tls.crt"), tokens: store.text("live-admin-token", "token") };
    expect(refusal(credentials, pod, clock.wallMs())).toBeUndefined();
  });

  test("a Secret of somebody else is left alone and told", async () => {
    const clock = new ManualClock(START_MS);
    const store = secretStore(clock);
    const metadata = { name: "live-admin-ca", namespace: "prod", managedFields: [{ manager: "kubectl" }] };
    store.objects.set("live-admin-ca", { apiVersion: "v1", kind: "Secret", metadata, data: {} });
    expect(await operatorOf(store, clock)()).toContain("Secret live-admin-ca exists and");
    expect(store.writes()).toBe(0);
  });
});
