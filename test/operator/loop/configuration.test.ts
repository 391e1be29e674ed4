// Why: a configuration is brought up to date by what changed. Everything that is not looked at must be right as it is, and nothing
// that is only out of sight, unread or unfinished may be taken for gone.
import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { clusterKeyOf, keyOfObject, tenantKeyOf } from "@nexus/operator/desired/acceptance.ts";
import { templateIdKey, tenantIdKey } from "@nexus/operator/desired/world.ts";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { readContent } from "@nexus/operator/loop/config/content.ts";
import { Draft } from "@nexus/operator/loop/config/draft.ts";
import { Configurations } from "@nexus/operator/loop/configuration.ts";
import type { ObjectRef } from "@nexus/operator/loop/ports.ts";
import { BundleBook } from "@nexus/operator/loop/push-book.ts";
import { type SecretObject, SecretSource } from "@nexus/operator/loop/secret-source.ts";
import { TemplateBodies } from "@nexus/operator/loop/template-bodies.ts";
import { type TemplateIndex, TemplateIndexer } from "@nexus/operator/loop/template-index.ts";
import { type Views, worldOf } from "@nexus/operator/loop/views.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const CLUSTER = "prod/live";

function resource<T extends NexusCluster | Tenant | Template>(kind: T["kind"], name: string, spec: object, generation = 1): T {
  const metadata = { name, namespace: "prod", uid: `uid-${name}`, generation, creationTimestamp: "2026-01-01T00:00:00Z" };
  const checked = checkResource({ apiVersion: "nexus.dev/v1alpha1", kind, metadata, spec });
  if (!checked.ok) throw new Error(JSON.stringify(checked.complaints));
  return checked.resource as T; // of the kind that was asked for
}
const template = (name: string, text = "hello", generation = 1): Template =>
  resource<Template>("Template", name, { tenantRef: { name: "acme" }, eventType: "greeting", payload: { text } }, generation);
const tenant = (spec: object = {}, generation = 1): Tenant =>
  resource<Tenant>("Tenant", "acme", { clusterRef: { name: "live" }, ...spec }, generation);

/** An API server's objects, what an operator sees of them, and its book. `book` may be what an earlier one left. */
function world(book = new BundleBook()) {
  const clusters = new MemoryStore<NexusCluster>();
  const tenants = new MemoryStore<Tenant>({ cluster: (one) => [clusterKeyOf(one)], id: (one) => [tenantIdKey(one)], secret: () => [] });
  const templates = new MemoryStore<TemplateIndex>({ tenant: (one) => [tenantKeyOf(one)], id: (one) => [templateIdKey(one)] });
  const stored = new Map<string, Template>();
  const clock = new ManualClock();
  const kept = new Map<string, SecretObject>();
  // The API server answers what the path names.
  const get = async <T>({ namespace, name }: ObjectRef) => kept.get(`${namespace}/${name}`) as T | undefined;
  const secrets = new SecretSource({ api: { get }, stores: [], clock });
  const empty = { clusters, tenants, templates, namespaces: new MemoryStore() };
  const views = empty as unknown as Views; // a configuration looks at these alone
  const bodies = new TemplateBodies();
  const indexer = new TemplateIndexer();
  const options = { views, world: worldOf(views), secrets, bodies, clock, book: () => book, mustPurge: () => false };
  const configurations = new Configurations(options);
  let reads = 0;
  const put = <T extends { readonly metadata: Template["metadata"] }>(store: MemoryStore<T>, object: T) =>
    store.set(keyOfObject(object), { uid: object.metadata.uid ?? "", resourceVersion: "1", value: object });
  const cluster = resource<NexusCluster>("NexusCluster", "live", { redis: { mode: "None" } });
  put(clusters, cluster);

  const see = (object: Template) => {
    stored.set(keyOfObject(object), object);
    put(templates, indexer.index(object));
  };
  const commit = async (draft: Draft) => void book.change({ put: draft.put, remove: draft.gone });
  return {
    ...{ book, clock, configurations, tenants, stored, see, cluster },
    secret: (name: string, data: Readonly<Record<string, string>>) =>
      kept.set(`prod/${name}`, { apiVersion: "v1", kind: "Secret", metadata: { namespace: "prod", name }, data }),
    reads: () => reads,
    tenant: (object: Tenant) => put(tenants, object),
    /** As a watch tells of it. */
    edit(object: Template) {
      see(object);
      bodies.put(object);
      configurations.onTemplate(indexer.index(object));
    },
    remove(object: Template) {
      stored.delete(keyOfObject(object));
      templates.delete(keyOfObject(object));
      configurations.onTemplate(indexer.index(object));
    },
    /** Steps until nothing is left; answers what was put and removed on the way. */
    async settle(how: { readonly seesLess?: boolean; readonly isOutdated?: boolean } = {}): Promise<{ put: string[]; gone: string[] }> {
      const configuration = configurations.of(CLUSTER, how);
      const done = { put: [] as string[], gone: [] as string[] };
      const take = async (draft: Draft) => {
        done.put.push(...draft.put.map(({ kind, id }) => `${kind}:${id}`));
        done.gone.push(...draft.gone);
        await commit(draft);
      };
      while (!configuration.isComplete) {
        const draft = new Draft();
        await configuration.step(cluster, draft);
        await take(draft);
        if (configuration.hasWork || configuration.unread.size === 0) continue;
        const get = async (key: string) => {
          reads++;
          return stored.get(key);
        };
        await readContent(configuration, { count: () => stored.size, get, walk: async (page) => page([...stored.values()]) }, take);
      }
      return done;
    },
  };
}

test("a first walk compiles everything, by reading what no watch brought", async () => {
  const one = world();
  one.tenant(tenant());
  for (let at = 0; at < 20; at++) one.see(template(`t${at}`));
  const { put } = await one.settle();
  expect(put.length).toBe(22);
  expect(one.reads()).toBe(20);
  expect(one.book.mark("template:acme/t7")).toMatchObject({ uid: "uid-t7", generation: 1 });
});

test("many are read by one walk, not one by one", async () => {
  const one = world();
  one.tenant(tenant());
  for (let at = 0; at < 500; at++) one.see(template(`t${at}`));
  await one.settle();
  expect([one.book.size, one.reads()]).toEqual([502, 0]);
});

test("after a restart nothing is read, put or removed", async () => {
  const one = world();
  one.tenant(tenant());
  for (let at = 0; at < 50; at++) one.see(template(`t${at}`));
  await one.settle();
  const two = world(one.book);
  two.tenant(tenant());
  for (const object of one.stored.values()) two.see(object);
  expect(await two.settle()).toEqual({ put: [], gone: [] });
  expect(two.reads()).toBe(0);
});

test("what another revision of the compiler made is compiled anew, and only what differs is put", async () => {
  const one = world();
  one.tenant(tenant());
  for (let at = 0; at < 50; at++) one.see(template(`t${at}`));
  await one.settle();
  const two = world(one.book);
  two.tenant(tenant());
  for (const object of one.stored.values()) two.see(object);
  // The same object, but what was made of it then is not what is made of it now.
  two.see(template("t7", "as it is compiled today"));
  expect(await two.settle({ isOutdated: true })).toEqual({ put: ["template:acme/t7"], gone: [] });
});

test("an edit compiles one entry from what the watch brought", async () => {
  const one = world();
  one.tenant(tenant());
  for (let at = 0; at < 50; at++) one.see(template(`t${at}`));
  await one.settle();
  const reads = one.reads();
  one.edit(template("t3", "edited", 2));
  expect(await one.settle()).toEqual({ put: ["template:acme/t3"], gone: [] });
  expect(one.reads()).toBe(reads);
});

test("a deletion removes one entry, also one that happened while nobody looked", async () => {
  const one = world();
  one.tenant(tenant());
  const [a, b] = [template("a"), template("b")];
  for (const object of [a, b]) one.see(object);
  await one.settle();
  one.remove(a);
  expect(await one.settle()).toEqual({ put: [], gone: ["template:acme/a"] });
  const two = world(one.book);
  two.tenant(tenant());
  expect(await two.settle()).toEqual({ put: [], gone: ["template:acme/b"] });
});

test("an operator that sees less takes nothing for gone but what it saw go", async () => {
  const one = world();
  one.tenant(tenant());
  for (const name of ["a", "b"]) one.see(template(name));
  await one.settle();
  const two = world(one.book);
  two.tenant(tenant());
  two.see(template("a"));
  expect(await two.settle({ seesLess: true })).toEqual({ put: [], gone: [] });
  two.remove(template("a"));
  expect(await two.settle({ seesLess: true })).toEqual({ put: [], gone: ["template:acme/a"] });
});

test("the younger of two with one id takes over when the older goes", async () => {
  const one = world();
  one.tenant(tenant());
  const older = template("a");
  const spec = { tenantRef: { name: "acme" }, templateId: "a", eventType: "greeting", payload: { text: "other" } };
  const younger = resource<Template>("Template", "z", spec);
  for (const object of [older, younger]) one.see(object);
  await one.settle();
  expect(one.book.mark("template:acme/a")?.uid).toBe("uid-a");
  one.remove(older);
  expect(await one.settle()).toEqual({ put: ["template:acme/a"], gone: [] });
  expect(one.book.mark("template:acme/a")?.uid).toBe("uid-z");
});

test("a new version that servers could not use leaves the old one, and a raised quota lets it in", async () => {
  const one = world();
  one.tenant(tenant({ quotas: { payloadBytes: 1024 } }));
  one.see(template("a"));
  await one.settle();
  one.edit(template("a", "x".repeat(2000), 2));
  expect(await one.settle()).toEqual({ put: [], gone: [] });
  expect(one.configurations.outcome("template", "prod/a")).toMatchObject({ kind: "refused", refused: { reason: "InvalidSpec" } });
  expect(one.book.mark("template:acme/a")?.generation).toBe(1);
  const raised = tenant({ quotas: { payloadBytes: 4096 } }, 2);
  one.tenant(raised);
  one.configurations.onTenant(raised);
  expect((await one.settle()).put).toEqual(["tenant:acme", "template:acme/a"]);
  expect(one.configurations.outcome("template", "prod/a")).toMatchObject({ kind: "entry", id: "a" });
});

test("with a tenant its templates go, and come back with it", async () => {
  const one = world();
  one.tenant(tenant());
  one.see(template("a"));
  await one.settle();
  one.tenants.delete("prod/acme");
  one.configurations.onTenant(tenant());
  expect((await one.settle()).gone).toEqual(["tenant:acme", "template:acme/a"]);
  one.tenant(tenant());
  one.configurations.onTenant(tenant());
  expect((await one.settle()).put).toEqual(["tenant:acme", "template:acme/a"]);
});

test.each([
  ["lacks the key that is named", { algorithms: ["HS256"], secretRef: { name: "jwt" } }, {}],
  ["holds no key", { algorithms: ["EdDSA"], publicKeySecretRef: { name: "jwt" } }, { key: btoa("no PEM") }],
])("a Secret that %s is looked at again within seconds, with no event", async (_, issuer, wrong) => {
  const one = world();
  one.tenant(tenant({ auth: { issuers: [{ name: "idp", ...issuer }] } }));
  one.secret("jwt", wrong);
  await one.settle();
  const configuration = one.configurations.of(CLUSTER);
  expect(configuration.againMs).toBeLessThanOrEqual(10_000);
  const { publicKey } = generateKeyPairSync("ed25519");
  one.secret("jwt", { key: btoa(publicKey.export({ type: "spki", format: "pem" }).toString()) });
  // Twice: what was found at the first look may be as old as a look lasts.
  const draft = new Draft();
  for (let look = 0; look < 2; look++) {
    await one.clock.advance(10_000);
    do await configuration.step(one.cluster, draft);
    while (configuration.hasWork);
  }
  expect(draft.put).toMatchObject([{ kind: "tenant", spec: { issuers: [{ name: "idp" }] } }]);
});
