// The control plane the other tests stand on: does it do what they take for granted?
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { isWrite } from "../../support/cluster/audit.ts";
import { unavailableBinaries } from "../../support/cluster/binaries.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { unavailableControlPlane } from "../../support/cluster/tiers.ts";
import { SCHEDULER_TOOLS } from "../../support/cluster/tools.ts";
import { eventually } from "../../support/eventually.ts";
import { identify, isRunning } from "../../support/processes.ts";

const reason = await unavailableControlPlane();
if (reason) process.stderr.write(`skipped: ${reason}\n`);

const relay = (name: string, spec: object) => ({
  apiVersion: "nexus.test/v1",
  kind: "Relay",
  metadata: { name, namespace: "default" },
  spec,
});

const RELAY_KIND = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "relays.nexus.test" },
  spec: {
    group: "nexus.test",
    scope: "Namespaced",
    names: { plural: "relays", singular: "relay", kind: "Relay" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            required: ["spec"],
            properties: {
              spec: {
                type: "object",
                required: ["size"],
                properties: {
                  size: { type: "integer", minimum: 0 },
                  limit: { type: "integer", default: 10 },
                  zone: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "zone is immutable" }] },
                },
                "x-kubernetes-validations": [{ rule: "self.size <= self.limit", message: "size exceeds limit", fieldPath: ".size" }],
              },
            },
          },
        },
      },
    ],
  },
};

describe.skipIf(reason !== undefined)("a control plane", () => {
  let cluster: ControlPlane;
  beforeAll(async () => {
    cluster = await startControlPlane();
  }, 900_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test("judges custom resources by their CEL rules and names the field", async () => {
    await cluster.apply(RELAY_KIND);
    await cluster.kubectl(["wait", "--for=condition=Established", "crd/relays.nexus.test", "--timeout=10s"]);
    await cluster.apply(relay("good", { size: 3, zone: "a" }));
    const stored = await (await cluster.request("/apis/nexus.test/v1/namespaces/default/relays/good")).json();
    expect(stored).toMatchObject({ spec: { size: 3, limit: 10 } });
    await expect(cluster.apply(relay("bad", { size: 11 }))).rejects.toThrow(/spec\.size: Invalid value.*size exceeds limit/);
    await expect(cluster.apply(relay("good", { size: 3, zone: "b" }))).rejects.toThrow(/spec\.zone: Invalid value.*zone is immutable/);
  });

  test("knows a user by a client certificate and lets RBAC decide", async () => {
    const denied = await cluster.kubectl(["get", "pods"], { asUser: "alice" });
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain('User "alice" cannot list resource "pods"');
    const admin = await cluster.kubeconfigFor("bob", ["system:masters"]);
    expect(await Bun.file(admin).text()).toContain("client-certificate-data");
    expect((await cluster.kubectl(["get", "pods", "--kubeconfig", admin])).code).toBe(0);
  });

  test("knows a ServiceAccount by its token", async () => {
    const kubeconfig = await cluster.kubeconfigFor("system:serviceaccount:default:robot", [], "token");
    const { stdout } = await cluster.kubectl(["auth", "whoami", "-o", "json", "--kubeconfig", kubeconfig]);
    expect(JSON.parse(stdout)).toMatchObject({ status: { userInfo: { username: "system:serviceaccount:default:robot" } } });
  });

  test("writes every answered request to the audit log before the client sees the answer", async () => {
    for (let round = 0; round < 20; round++) {
      const name = `round-${round}`;
      const body = JSON.stringify({ metadata: { name } });
      expect((await cluster.request("/api/v1/namespaces/default/configmaps", { method: "POST", body })).status).toBe(201);
      const written = (await cluster.auditEvents()).filter((event) => isWrite(event) && event.objectRef?.name === name);
      expect(written.map(({ verb, user, responseStatus }) => [verb, user.username, responseStatus?.code])).toEqual([
        ["create", "admin", 201],
      ]);
    }
  });

  test("collects garbage: the controller manager runs", async () => {
    const owner = await (
      await cluster.request("/api/v1/namespaces/default/configmaps", { method: "POST", body: '{"metadata":{"name":"owner"}}' })
    ).json();
    // The uid of an object the API server just created.
    const { uid } = (owner as { metadata: { uid: string } }).metadata;
    const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid }];
    await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owned", namespace: "default", ownerReferences } });
    await cluster.request("/api/v1/namespaces/default/configmaps/owner", { method: "DELETE" });
    const status = async () => (await cluster.request("/api/v1/namespaces/default/configmaps/owned")).status;
    await eventually("the owned object is collected", async () => (await status()) === 404);
  });

  test("takes its API server away and brings it back on the same address with the same data", async () => {
    await cluster.stop("apiserver");
    await expect(cluster.request("/readyz")).rejects.toThrow();
    await cluster.start("apiserver");
    expect((await cluster.request("/api/v1/namespaces/default/configmaps/round-0")).status).toBe(200);
  }, 60_000);
});

/** The scheduler is in no KUBEBUILDER_ASSETS: without Go there may be a control plane, but none. */
const noScheduler = reason ?? unavailableBinaries(SCHEDULER_TOOLS);
if (!reason && noScheduler) process.stderr.write(`skipped: ${noScheduler}\n`);

test.skipIf(noScheduler !== undefined)(
  "a control plane with a scheduler binds a pod to a node that exists on paper",
  async () => {
    await using cluster = await startControlPlane({ controllerManager: false, scheduler: true, audit: false });
    const metadata = { name: "paper", namespace: "default" };
    const tolerations = [{ operator: "Exists" }]; // every new node is tainted until a kubelet says it is ready
    const capacity = { cpu: "1", memory: "1Gi", pods: "10" };
    await cluster.apply([
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } },
      { apiVersion: "v1", kind: "Node", metadata: { name: "paper" }, status: { capacity, allocatable: capacity } },
      { apiVersion: "v1", kind: "Pod", metadata, spec: { tolerations, containers: [{ name: "c", image: "nexus.test/none:1" }] } },
    ]);
    await eventually("the pod is bound", async () => {
      const { stdout } = await cluster.kubectl(["get", "pod", "paper", "-o", "jsonpath={.spec.nodeName}"]);
      return stdout === "paper";
    });
  },
  900_000,
);

describe.skipIf(reason !== undefined)("the end of a control plane", () => {
  test("leaves no process and no file", async () => {
    const cluster = await startControlPlane({ audit: false });
    const processes = Object.values(cluster.pids()).map((pid) => identify(pid));
    expect(processes.length).toBe(3);
    await expect(cluster.auditEvents()).rejects.toThrow(/audit: false/);
    await cluster[Symbol.asyncDispose]();
    expect(processes.filter((known) => known && isRunning(known))).toEqual([]);
    expect(existsSync(cluster.directory)).toBe(false);
  }, 60_000);

  test("comes with the test process when that is killed, and the next run removes its folder", async () => {
    const script = `
      import { startControlPlane } from "${import.meta.dir}/../../support/cluster/control-plane.ts";
      const { directory, pids } = await startControlPlane({ controllerManager: false });
      console.log(JSON.stringify({ directory, pids: pids() }));
      setInterval(() => undefined, 1000);`;
    // It is killed before it can say which rights were used, and used none.
    const env = { ...process.env, NEXUS_RIGHTS_RUN: "" };
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", env });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    // One line our own script wrote.
    const { directory, pids } = JSON.parse(new TextDecoder().decode(value)) as { directory: string; pids: Record<string, number> };
    const processes = Object.values(pids).flatMap((pid) => identify(pid) ?? []);
    expect(processes.length).toBe(2);
    child.kill("SIGKILL");
    await child.exited;
    const next = await startControlPlane({ controllerManager: false });
    try {
      expect(processes.filter(isRunning)).toEqual([]);
      expect(existsSync(directory)).toBe(false);
    } finally {
      await next[Symbol.asyncDispose]();
    }
  }, 60_000);
});
