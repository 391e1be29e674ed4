import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { findKind } from "@nexus/operator/kube/discovery.ts";
import { type ReflectorOptions, startReflector, stripManagedFields } from "@nexus/operator/kube/reflector.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport, type Transport } from "@nexus/operator/kube/transport.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden, KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi, WatchEvent } from "@nexus/operator/loop/ports.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { createAuthority } from "../../support/cluster/pki.ts";
import { eventually } from "../../support/eventually.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

setDefaultTimeout(120_000);

let plane: ControlPlane;
let direct: Transport;
let api: KubeApi;

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: false });
  const access = await kubeconfigAccess(plane.adminKubeconfig);
  direct = createTransport({ access, userAgent: "nexus-test" });
  api = createKubeApi({ transport: direct });
  for (const name of ["pages", "cut"]) await plane.kubectl(["create", "namespace", name]);
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

const configMap = (namespace: string, name: string, value: string): Manifest => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace, name },
  data: { value },
});
const textOf = (object: KubeObject): string => String(Reflect.get(Reflect.get(object, "data") ?? {}, "value"));

test("a first list of several pages arrives whole, then edits, without managedFields, found by index", async () => {
  for (let batch = 0; batch < 6; batch++) {
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => api.create(KINDS.ConfigMap, configMap("pages", `c-${batch}-${i}`, `${batch}`))),
    );
  }
  const events: WatchEvent<KubeObject>[] = [];
  const reflector = startReflector<KubeObject>({
    transport: direct,
    kind: KINDS.ConfigMap,
    scope: { namespace: "pages" },
    transform: stripManagedFields,
    indexers: { value: (object) => [textOf(object)] },
    onEvent: (event) => events.push(event),
  });
  expect(await reflector.synced).toBe(true);
  expect(reflector.store.size).toBe(1200);
  expect(events.every((event) => event.type === "added" && event.initial)).toBe(true);
  expect(reflector.store.byIndex("value", "3")).toHaveLength(200);
  await api.mergePatch({ kind: KINDS.ConfigMap, namespace: "pages", name: "c-3-0" }, { data: { value: "é😀" } }, { manager: "t" });
  await api.delete({ kind: KINDS.ConfigMap, namespace: "pages", name: "c-3-1" });
  await eventually("both changes in the store", () => reflector.store.byIndex("value", "3").length === 198);
  expect(reflector.store.byIndex("value", "é😀")).toHaveLength(1);
  expect(events.slice(1200).map((event) => [event.type, event.key, event.initial])).toEqual([
    ["modified", "pages/c-3-0", false],
    ["deleted", "pages/c-3-1", false],
  ]);
  expect(reflector.store.list().some((object) => object.metadata.managedFields)).toBe(false);
  await reflector.stop();
});

/** The API server through a proxy, and a model of the world built only from what the handler was told. */
async function throughProxy(options: Partial<ReflectorOptions<KubeObject>>) {
  const { hostname, port } = new URL(plane.server);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const access = await kubeconfigAccess(plane.adminKubeconfig);
  const transport = createTransport({ access: { ...access, server: `https://127.0.0.1:${proxy.port}` }, userAgent: "nexus-proxied" });
  const told = new Map<string, string>();
  const ends: string[] = [];
  const reflector = startReflector<KubeObject>({
    transport,
    kind: KINDS.ConfigMap,
    scope: { namespace: "cut" },
    onEvent: (event) => {
      if (event.type === "deleted") told.delete(event.key);
      else told.set(event.key, textOf(event.object));
    },
    metrics: {
      watchEnded: (_, why) => ends.push(why),
      listed: () => undefined,
      listFailed: () => ends.push("list"),
    },
    random: () => 0.9, // short back-offs
    ...options,
  });
  await reflector.synced;
  return { proxy, reflector, told, ends };
}

const real = async (): Promise<Record<string, string>> => {
  const { items } = await api.list(KINDS.ConfigMap, { namespace: "cut" });
  return Object.fromEntries(items.map((item) => [`cut/${item.metadata.name}`, textOf(item)]));
};

test("a watch that is cut, stalled and refused while objects change loses no edit", async () => {
  const { proxy, reflector, told, ends } = await throughProxy({ silenceMs: 1500 });
  const troubles = [proxy.cut, proxy.stall, proxy.refuse];
  for (let round = 0; round < 12; round++) {
    if (round % 4 === 1) troubles[Math.floor(round / 4)]?.();
    await api.apply(KINDS.ConfigMap, configMap("cut", `kept-${round % 3}`, `v${round}`), { manager: "t" });
    await api.apply(KINDS.ConfigMap, configMap("cut", `brief-${round}`, "x"), { manager: "t" });
    if (round % 2) await api.delete({ kind: KINDS.ConfigMap, namespace: "cut", name: `brief-${round}` });
    if (round % 4 === 3) {
      proxy.accept();
      const expected = await real();
      await eventually(
        `the handler knows the world after round ${round}`,
        () => {
          expect(Object.fromEntries(told)).toEqual(expected);
          return true;
        },
        { timeoutMs: 30_000 },
      );
    }
  }
  expect(ends).toContain("error"); // cut and refused
  expect(ends).toContain("silent"); // half-open
  expect(reflector.store.size).toBe(told.size);
  await reflector.stop();
  await proxy[Symbol.asyncDispose]();
});

test("a server that compacted our version away (410) leads to a new list, whose difference tells the deletions", async () => {
  const { proxy, reflector, told, ends } = await throughProxy({ silenceMs: 60_000 });
  await api.apply(KINDS.ConfigMap, configMap("cut", "doomed", "1"), { manager: "t" });
  await eventually("doomed is known", () => told.has("cut/doomed"));
  proxy.refuse();
  await api.delete({ kind: KINDS.ConfigMap, namespace: "cut", name: "doomed" });
  await api.apply(KINDS.ConfigMap, configMap("cut", "born", "1"), { manager: "t" });
  // A restarted API server has an empty watch cache: it cannot continue from before its start.
  await plane.stop("apiserver");
  await plane.start("apiserver");
  proxy.accept();
  await eventually("the difference was told", () => told.has("cut/born") && !told.has("cut/doomed"), { timeoutMs: 60_000 });
  expect(ends).toContain("expired");
  await reflector.stop();
  await proxy[Symbol.asyncDispose]();
});

test("stop ends the watch on the server and no event comes after it", async () => {
  const { proxy, reflector, told } = await throughProxy({});
  await api.apply(KINDS.ConfigMap, configMap("cut", "before-stop", "1"), { manager: "t" });
  await eventually("the watch is open", () => told.has("cut/before-stop"));
  expect(proxy.open).toBe(1);
  await reflector.stop();
  const before = told.size;
  await api.apply(KINDS.ConfigMap, configMap("cut", "after-stop", "1"), { manager: "t" });
  await eventually("the connection is closed", () => proxy.open === 0);
  expect(told.size).toBe(before);
  await proxy[Symbol.asyncDispose]();
});

test("a certificate of another authority is refused, also by a process that already trusts this address", async () => {
  const good = await kubeconfigAccess(plane.adminKubeconfig);
  const ca = (await createAuthority("somebody else")).certPem;
  const credentials = async () => ({ ...(await good.credentials()), tls: { ca } });
  const bad = createKubeApi({ transport: createTransport({ access: { ...good, credentials }, userAgent: "nexus-test" }) });
  expect(await api.get({ kind: KINDS.Namespace, name: "default" })).toBeDefined();
  const error = await bad.get({ kind: KINDS.Namespace, name: "default" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubeError);
  expect(error).toMatchObject({ status: 0, reason: "Network" });
  expect(String(error)).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED|CERT/i);
});

test("a client certificate and a service account token each say who we are", async () => {
  for (const style of ["certificate", "token"] as const) {
    const user = "system:serviceaccount:default:reader";
    const access = await kubeconfigAccess(await plane.kubeconfigFor(user, ["system:serviceaccounts"], style));
    const mine = createKubeApi({ transport: createTransport({ access, userAgent: "nexus-test" }) });
    const error = await mine.list(KINDS.Secret, { namespace: "default" }).catch((thrown: unknown) => thrown);
    expect(isForbidden(error)).toBe(true);
    expect(String(error)).toContain(user);
  }
});

test("discovery names what is served with plural and scope, and what is not", async () => {
  const seen = await api.discover();
  expect(seen.unavailable).toEqual([]);
  expect(findKind(seen, { group: "", kind: "Secret" })).toEqual(KINDS.Secret);
  expect(findKind(seen, { group: "apps", kind: "Deployment" })).toEqual(KINDS.Deployment);
  expect(findKind(seen, { group: "autoscaling", kind: "HorizontalPodAutoscaler", version: "v2" })).toEqual(KINDS.HorizontalPodAutoscaler);
  expect(findKind(seen, { group: "keda.sh", kind: "ScaledObject" })).toBeUndefined();
  for (const kind of Object.values(KINDS)) if (kind.group !== "nexus.dev") expect(seen.kinds).toContainEqual(kind);
});

test("preconditions of delete are compared, and a missing object is not an error", async () => {
  const made = await api.create(KINDS.ConfigMap, configMap("cut", "guarded", "1"));
  const ref = { kind: KINDS.ConfigMap, namespace: "cut", name: "guarded" };
  await expect(api.delete(ref, { uid: "00000000-0000-0000-0000-000000000000" })).rejects.toMatchObject({ status: 409, reason: "Conflict" });
  await expect(api.update(KINDS.ConfigMap, { ...made, metadata: { ...made.metadata, resourceVersion: "1" } })).rejects.toMatchObject({
    status: 409,
  });
  await expect(api.create(KINDS.ConfigMap, configMap("cut", "guarded", "1"))).rejects.toMatchObject({ reason: "AlreadyExists" });
  await expect(api.create(KINDS.ConfigMap, configMap("cut", "Not A Name", "1"))).rejects.toMatchObject({
    status: 422,
    reason: "Invalid",
    causes: [expect.objectContaining({ field: "metadata.name" })],
  });
  expect(await api.delete(ref, { uid: made.metadata.uid ?? "" })).toBe(true);
  expect(await api.delete(ref)).toBe(false);
  expect(await api.get(ref)).toBeUndefined();
});
