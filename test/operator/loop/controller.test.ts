// Why: what is looked at depends on who leads: a standby keeps configurations up and touches nothing else, whatever it hears of.
import { expect, test } from "bun:test";
import { keyOfObject } from "@nexus/operator/desired/acceptance.ts";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { Controller, type ControllerOptions, type WorkKey, workKey } from "@nexus/operator/loop/controller.ts";
import { WorkQueue } from "@nexus/operator/loop/queue.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster, aTemplate, aTenant } from "../bundle/fixtures.ts";

/** A controller over one cluster, one Tenant and one Template, and what it looked at. */
function scene() {
  const clock = new ManualClock();
  const [cluster, tenant, template] = [aCluster(), aTenant("acme"), aTemplate("hello")];
  const storeOf = <T extends { readonly metadata: { readonly uid?: string; readonly namespace?: string; readonly name: string } }>(
    one: T,
  ) => {
    const store = new MemoryStore<T>({ cluster: () => [keyOfObject(cluster)], tenant: () => [keyOfObject(tenant)] });
    store.set(keyOfObject(one), { uid: one.metadata.uid ?? "", resourceVersion: "1", value: one });
    return store;
  };
  const looked: WorkKey[] = [];
  const pass = (kind: "config" | "cluster" | "tenant" | "template") => async (key: string) => {
    looked.push(workKey(kind, key));
    return { kind: "done" as const };
  };
  let isWarm = false;
  const queue = new WorkQueue<WorkKey>({ clock, random: () => 0 });
  const controller = new Controller({
    queue,
    views: { clusters: storeOf(cluster), tenants: storeOf(tenant), templates: storeOf(template) },
    passes: { config: pass("config"), cluster: pass("cluster"), tenant: pass("tenant"), template: pass("template"), isWarm: () => isWarm },
    configurations: {
      known: () => undefined,
      onTenant: () => undefined,
      onCluster: () => undefined,
      onTemplate: () => keyOfObject(cluster),
    },
    breakers: { succeeded: () => undefined, failed: () => undefined },
    live: { seen: () => undefined, forget: () => undefined },
    workers: 2,
    onFailure: () => undefined,
    onOutcome: () => undefined,
  } as unknown as ControllerOptions); // what these handlers and passes need of each
  const edit = () => {
    controller.onTenant({ type: "modified", key: keyOfObject(tenant), object: tenant, initial: false });
    controller.onTemplate({
      type: "modified",
      key: keyOfObject(template),
      object: { ...template, isPaused: false, status: undefined },
      initial: false,
    });
    const labels = { "app.kubernetes.io/instance": "live" };
    controller.onChild({
      type: "modified",
      key: "prod/x",
      object: { ...cluster, metadata: { ...cluster.metadata, labels } },
      initial: false,
    });
    controller.onPushChange(keyOfObject(cluster), new Set());
  };
  return {
    ...{ clock, controller, queue, looked, edit },
    warmed: () => {
      isWarm = true;
    },
  };
}

test("before the first lists nothing is looked at, on standby configurations alone, with the lead everything", async () => {
  const { clock, controller, queue, looked, edit, warmed } = scene();
  const running = controller.run();
  edit();
  await clock.advance(1_000);
  expect(looked).toEqual([]);
  let isReady = false;
  const warming = controller.warm().then(() => {
    isReady = true;
  });
  await clock.advance(0);
  expect([isReady, looked]).toEqual([false, ["config:prod/live"]]);
  warmed();
  edit();
  await clock.advance(1_000);
  await warming;
  expect([...new Set(looked)]).toEqual(["config:prod/live"]);
  looked.length = 0;
  controller.begin();
  edit();
  await eventually("all is looked at", async () => {
    await clock.advance(1_000);
    return new Set(looked).size === 4;
  });
  await queue.shutDown();
  await running;
});
