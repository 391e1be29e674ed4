// The node the other tests stand on: are its pods real, who reaches whom, and does it leave the machine as it was?
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runOrThrow } from "../../scripts/host/command.ts";
import { writeArchive } from "../../scripts/oci/archive.ts";
import { buildProgramImage } from "../../scripts/oci/build.ts";
import { packLayer } from "../../scripts/oci/layer.ts";
import { startControlPlane } from "../support/cluster/control-plane.ts";
import { type NodeCluster, startNodeCluster } from "../support/cluster/node.ts";
import { containerdSocket } from "../support/cluster/node-config.ts";
import type { NodeAddresses } from "../support/cluster/node-network.ts";
import { unavailableNode } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { identify, isRunning, type ProcessIdentity } from "../support/processes.ts";

const reason = await unavailableNode();
if (reason) process.stderr.write(`skipped: ${reason}\n`);

const IMAGE = "nexus.test/hello:1";

const hello = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "hello", namespace: "default" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "hello" } },
    template: {
      metadata: { labels: { app: "hello" } },
      spec: {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "hello",
            image: IMAGE,
            imagePullPolicy: "Never",
            ports: [{ containerPort: 8080 }],
            readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
            securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    },
  },
};

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "hello", namespace: "default" },
  spec: { selector: { app: "hello" }, ports: [{ port: 80, targetPort: 8080 }] },
};

/** Every process that sees a mount of the cluster's folder: components, shims and pods. */
function processesWithin(cluster: NodeCluster): ProcessIdentity[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => mountsOf(pid).includes(cluster.directory)).flatMap((pid) => identify(Number(pid)) ?? []);
}

function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, "utf8");
  } catch (error) {
    const ended = error instanceof Error && "code" in error && ["ENOENT", "ESRCH", "EINVAL"].includes(String(error.code));
    if (ended) return "";
    throw error;
  }
}

/** What of a node cluster is still on the machine, in words; empty when nothing is. */
async function traces(directory: string, { link, podRange, serviceRange, cgroup }: NodeAddresses): Promise<string[]> {
  const routes = await runOrThrow(["ip", "route"]);
  const hierarchies = readdirSync("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name, cgroup));
  return [
    ...(existsSync(directory) ? [directory] : []),
    ...(existsSync(`/sys/class/net/${link}`) ? [link] : []),
    ...[podRange, serviceRange].filter((range) => routes.includes(range)),
    ...[...hierarchies, join("/sys/fs/cgroup", cgroup)].filter((path) => existsSync(path)),
    ...mountsOf("self")
      .split("\n")
      .filter((line) => line.includes(directory)),
  ];
}

const KUBELET_SETTINGS = ["/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"];
const machineSettings = () => KUBELET_SETTINGS.map((path) => readFileSync(path, "utf8"));

describe.skipIf(reason !== undefined)("a node", () => {
  const settings = reason === undefined ? machineSettings() : [];
  let cluster: NodeCluster;
  let address: string;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const image = await buildProgramImage({ entry: join(import.meta.dir, "../support/cluster/fixtures/hello.ts"), name: IMAGE });
    await cluster.importImage(image.path);
    await cluster.apply([hello, service]);
    const { code, stderr } = await cluster.kubectl(["wait", "--for=condition=Available", "deployment/hello", "--timeout=60s"]);
    if (code !== 0) throw new Error(stderr);
    address = (await cluster.kubectl(["get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"])).stdout;
  }, 900_000);

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  }, 60_000);

  test("runs pods of our own image as nobody in particular, reached from the machine through their Service", async () => {
    const seen = new Set<string>();
    await eventually("both pods answered", async () => {
      const response = await fetch(`http://${address}/`, { headers: { connection: "close" }, signal: AbortSignal.timeout(3000) });
      // The fixture's own answer.
      const { pod, user, node } = (await response.json()) as { pod: string; user: number; node: string };
      expect([user, node]).toEqual([65532, "production"]);
      return seen.add(pod).size === 2;
    });
  });

  test("lets a pod reach Services by name and a program on the machine, and write nowhere", async () => {
    const from = async (url: string) =>
      await (await fetch(`http://${address}/fetch?url=${encodeURIComponent(url)}`, { signal: AbortSignal.timeout(5000) })).text();
    expect(await from("http://hello.default.svc.cluster.local/")).toContain("hello-");
    expect(await from("http://hello/")).toContain("hello-");
    using machine = Bun.serve({ hostname: cluster.addresses.hostAddress, port: 0, fetch: () => new Response("the machine") });
    expect(await from(`http://${cluster.addresses.hostAddress}:${machine.port}/`)).toBe("the machine");
    expect(await (await fetch(`http://${address}/write`)).text()).toContain("EROFS");
  });

  test.each(["gzip", "zstd"] as const)("takes an image with %s layers", async (compression) => {
    const name = `nexus.test/${compression}:1`;
    const files = [{ path: "/file", mode: 0o644, content: { text: "x".repeat(100_000) } }];
    const layer = await packLayer(files, cluster.directory, compression);
    const archive = join(cluster.directory, `${compression}.tar`);
    await writeArchive(archive, { name, entrypoint: ["/file"], user: "1:1", env: [], labels: {} }, [layer]);
    await cluster.importImage(archive); // unpacks, so the digests inside are checked
    const ctr = ["ctr", "-a", containerdSocket(cluster.directory), "-n", "k8s.io"];
    const { stdout } = await cluster.exec([...ctr, "images", "check", `name==${name}`]);
    expect(stdout).toMatch(/complete \(2\/2\).*true/); // config and layer are there, and unpacked
  });

  test("keeps pods running while its API server is away", async () => {
    await cluster.stop("apiserver");
    expect((await fetch(`http://${address}/`, { signal: AbortSignal.timeout(3000) })).status).toBe(200);
    await cluster.start("apiserver");
    const restarts = await cluster.kubectl([
      "get",
      "pods",
      "-l",
      "app=hello",
      "-o",
      "jsonpath={.items[*].status.containerStatuses[0].restartCount}",
    ]);
    expect(restarts.stdout).toBe("0 0");
  }, 60_000);

  test("ends a deleted pod with SIGTERM and replaces it", async () => {
    const names = async () => (await cluster.kubectl(["get", "pods", "-l", "app=hello", "-o", "name"])).stdout.trim().split("\n");
    const [victim = ""] = await names();
    const log = await cluster.request(`/api/v1/namespaces/default/${victim.replace("pod/", "pods/")}/log?follow=true`);
    await cluster.kubectl(["delete", victim]);
    expect(await log.text()).toBe("listening on 8080\nasked to end\n");
    expect(await names()).not.toContain(victim);
    const { code } = await cluster.kubectl(["rollout", "status", "deployment/hello", "--timeout=60s"]);
    expect(code).toBe(0);
  }, 60_000);

  test("stands beside a second one", async () => {
    await using second = await startNodeCluster({ audit: false });
    expect(second.addresses.number).not.toBe(cluster.addresses.number);
    const nodes = await Promise.all(
      [cluster, second].map(async (one) => (await one.kubectl(["get", "nodes", "-o", "name"])).stdout.trim()),
    );
    expect(nodes).toEqual([`node/${cluster.addresses.nodeName}`, `node/${second.addresses.nodeName}`]);
  }, 60_000);

  test("leaves no process, mount, link, route, cgroup, file or setting behind", async () => {
    const { directory, addresses } = cluster;
    const processes = processesWithin(cluster);
    expect(processes.length).toBeGreaterThan(10); // the components, and two pods with their shims
    expect((await traces(directory, addresses)).length).toBeGreaterThan(3);
    await cluster[Symbol.asyncDispose]();
    expect(processes.filter(isRunning)).toEqual([]);
    expect(await traces(directory, addresses)).toEqual([]);
    expect(machineSettings()).toEqual(settings);
  }, 60_000);
});

describe.skipIf(reason !== undefined)("a node whose test process was killed", () => {
  test("ends with it, and the next run removes what is left", async () => {
    const script = `
      import { startNodeCluster } from "${join(import.meta.dir, "../support/cluster/node.ts")}";
      const { directory, addresses, pids } = await startNodeCluster();
      console.log(JSON.stringify({ directory, addresses, pids: pids() }));
      setInterval(() => undefined, 1000);`;
    // It is killed before it can say which rights were used, and used none.
    const env = { ...process.env, NEXUS_RIGHTS_RUN: "" };
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", env });
    const { value } = await child.stdout.getReader().read();
    // One line our own script wrote.
    const left = JSON.parse(new TextDecoder().decode(value)) as {
      directory: string;
      addresses: NodeAddresses;
      pids: Record<string, number>;
    };
    const processes = Object.values(left.pids).flatMap((pid) => identify(pid) ?? []);
    expect(processes.length).toBe(8);
    child.kill("SIGKILL");
    await child.exited;
    await eventually("the node ended with its test process", () => !processes.some(isRunning));
    expect(existsSync(left.directory)).toBe(true);
    await using next = await startControlPlane({ controllerManager: false });
    expect(next.directory).not.toBe(left.directory);
    expect(await traces(left.directory, left.addresses)).toEqual([]);
  }, 120_000);
});
