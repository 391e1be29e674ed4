// Why: a Secret that was replaced, or that nobody may believe any more, must not be used again; what is only shown may be older.
import { expect, test } from "bun:test";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { SECRET_TTL_MS, type SecretObject, SecretSource } from "@nexus/operator/loop/secret-source.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const secretOf = (resourceVersion: string): SecretObject => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { namespace: "shop", name: "mine", resourceVersion } },
  data: { key: Buffer.from(`v${resourceVersion}`).toString("base64") },
});

function setup() {
  const clock = new ManualClock();
  const watched = new MemoryStore<SecretObject>();
  const server: { secret: SecretObject | undefined; reads: number } = { secret: secretOf("1"), reads: 0 };
  const api = {
    // The API server answers what the path names.
    get: async <T>() => {
      server.reads++;
      return server.secret as T | undefined;
    },
  };
  const source = new SecretSource({ api, stores: [watched], clock });
  const used = () => source.read("shop", "mine", "key")?.toString();
  const shown = () => source.seen("shop", "mine")?.metadata.resourceVersion;
  return { clock, watched, server, source, used, shown };
}

test("is read once in five minutes, and then not used any more, but shown", async () => {
  const { clock, server, source, used, shown } = setup();
  expect([used(), shown()]).toEqual([undefined, undefined]);
  await source.get("shop", "mine");
  await source.get("shop", "mine");
  expect([server.reads, used(), shown()]).toEqual([1, "v1", "1"]);
  await clock.advance(SECRET_TTL_MS);
  expect([used(), shown()]).toEqual([undefined, "1"]);
  server.secret = secretOf("2");
  await source.get("shop", "mine");
  expect([server.reads, used(), shown()]).toEqual([2, "v2", "2"]);
});

test("something happened to it: the next look is a new one, and what was seen is shown meanwhile", async () => {
  const { server, source, used, shown } = setup();
  await source.get("shop", "mine");
  source.invalidate("shop/mine");
  source.invalidate("shop/other");
  expect([used(), shown(), source.seen("shop", "other")]).toEqual([undefined, "1", undefined]);
  server.secret = undefined;
  expect(await source.get("shop", "mine")).toBeUndefined();
  expect([used(), shown()]).toEqual([undefined, undefined]);
});

test("one that does not serve is believed for seconds, as one that is not there", async () => {
  const { clock, server, source, used } = setup();
  await source.get("shop", "mine");
  source.doubt("shop/mine");
  source.doubt("shop/other");
  expect(used()).toBe("v1");
  await clock.advance(5_000);
  source.doubt("shop/mine");
  expect(used()).toBeUndefined();
  server.secret = secretOf("2");
  await source.get("shop", "mine");
  expect([server.reads, used()]).toEqual([2, "v2"]);
});

test("of a watch and an answer the newer wins", async () => {
  const { watched, source, used, shown } = setup();
  watched.set("shop/mine", { uid: "u", resourceVersion: "5", value: secretOf("5") });
  expect([used(), shown()]).toEqual(["v5", "5"]);
  source.put(secretOf("7"));
  expect([used(), shown()]).toEqual(["v7", "7"]);
  watched.set("shop/mine", { uid: "u", resourceVersion: "9", value: secretOf("9") });
  expect([used(), shown()]).toEqual(["v9", "9"]);
});
