// Why: a whole Kubernetes with one real node (kubelet, containerd, runc, CNI, kube-proxy, DNS) whose pods are real
// processes made from our image. It lives in namespaces of its own and under one folder. It must never pull an image or
// leave a process, mount, link, route or cgroup on the machine.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CommandResult, run as runCommand } from "../../../scripts/host/command.ts";
import { writeArchive } from "../../../scripts/oci/archive.ts";
import { packLayer } from "../../../scripts/oci/layer.ts";
import { createApi } from "./api.ts";
import { type Binaries, ensureBinaries } from "./binaries.ts";
import { type Layout, schedulerCommand } from "./commands.ts";
import { Components, entering } from "./components.ts";
import { API_NAMES, type ControlPlane, type CoreParts, close, lifecycle, startCore } from "./control-plane.ts";
import { createCredentials } from "./credentials.ts";
import { containerdSocket, DNS_ROLE, nodeFiles, PAUSE_IMAGE } from "./node-config.ts";
import { openNamespaces } from "./node-namespaces.ts";
import { chooseNodeNumber, connectNode, createCgroups, type NodeAddresses, nodeAddresses } from "./node-network.ts";
import { Run } from "./run.ts";
import { NODE_TOOLS } from "./tools.ts";

export type NodeCluster = Omit<ControlPlane, "stop" | "start" | "etcd"> & {
  /** Number, host address (the machine as pods see it), node address, Pod and Service ranges, node name, cgroup, link. */
  readonly addresses: NodeAddresses;
  /** Kills a component (SIGKILL); pods keep running. */
  stop(component: NodeComponent): Promise<void>;
  start(component: NodeComponent): Promise<void>;
  /** Loads an OCI archive into the node; pods need `imagePullPolicy: Never` or `IfNotPresent`. @throws Error with ctr's words */
  importImage(archive: string): Promise<void>;
  /** Starts a program inside the node's namespaces that ends with the node; its log is beside the others. */
  launch(name: string, argv: readonly string[]): Promise<void>;
  /** Runs a program inside the node's namespaces, e.g. `nft list ruleset`. */
  exec(argv: readonly string[], stdin?: string): Promise<CommandResult>;
};

export type NodeComponent = "etcd" | "apiserver" | "controller-manager" | "scheduler" | "containerd" | "kubelet" | "coredns" | "kube-proxy";

type NodeBinaries = Binaries<(typeof NODE_TOOLS)[number]>;

/** Starts a cluster with one Ready node (4-6 s on 2 idle cores once the binaries are built). Dispose it: `await using`. */
export async function startNodeCluster(options: { readonly audit?: boolean } = {}): Promise<NodeCluster> {
  const binaries = await ensureBinaries(NODE_TOOLS);
  const run = await Run.open(chooseNodeNumber);
  try {
    const { directory } = run;
    const addresses = nodeAddresses(run.node ?? 0);
    const layout = nodeLayout(directory, addresses, options.audit ?? true);
    const { nodeAddress, nodeName, firstService } = addresses;
    const apiHosts = [...API_NAMES, "127.0.0.1", nodeAddress, firstService];
    const credentials = await createCredentials({ directory, server: `https://${nodeAddress}:6443`, apiHosts, nodeName });
    const init = await openNamespaces(run);
    await connectNode(addresses, init.pid);
    createCgroups(addresses);
    const components = new Components(run, { kind: "namespaces", init });
    const api = createApi({
      directory,
      credentials,
      kubectlBinary: binaries.kubectl,
      ...(layout.auditLog ? { auditLog: layout.auditLog } : {}),
    });
    const parts: CoreParts = { components, api, layout, credentials };
    const exec = (argv: readonly string[], stdin?: string) => runCommand(entering(init, argv), stdin);
    const launch = (name: string, argv: readonly string[]) => components.start(name, { argv: [...argv] });
    const importImage = (archive: string) => importArchive(exec, directory, archive);
    for (const [name, text] of Object.entries(nodeFiles(directory, addresses, credentials))) writeInto(directory, name, text);
    await Promise.all([
      startCore(parts, binaries, { controllerManager: true }),
      startContainers({ components, directory, exec, importImage }, binaries),
    ]);
    await startNode(parts, binaries, addresses);
    return { ...api, ...lifecycle(parts), addresses, launch, exec, importImage, [Symbol.asyncDispose]: () => close(run, layout) };
  } catch (error) {
    await run.close();
    throw error;
  }
}

type ContainerParts = { readonly components: Components; readonly directory: string } & Pick<NodeCluster, "exec" | "importImage">;

/** containerd with the one image no pod can do without. */
async function startContainers({ components, directory, exec, importImage }: ContainerParts, binaries: NodeBinaries): Promise<void> {
  await components.start("containerd", { argv: ["containerd", "-c", join(directory, "containerd.toml")] });
  const layer = await packLayer([{ path: "/pause", mode: 0o755, content: { file: binaries.pause } }], directory, "none");
  const archive = join(directory, "pause.tar");
  await writeArchive(archive, { name: PAUSE_IMAGE, entrypoint: ["/pause"], user: "65535:65535", env: [], labels: {} }, [layer]);
  await components.ready("containerd", async () => (await exec(["ctr", "-a", containerdSocket(directory), "version"])).code === 0);
  await importImage(archive);
}

async function startNode(
  { components, api, layout, credentials }: CoreParts,
  binaries: NodeBinaries,
  { nodeName, nodeAddress }: NodeAddresses,
): Promise<void> {
  const file = (name: string) => join(layout.directory, name);
  await components.start("scheduler", schedulerCommand(binaries, layout, credentials));
  await components.start("kubelet", {
    argv: [
      ...[binaries.kubelet, "--config", file("kubelet.json"), "--kubeconfig", credentials.componentKubeconfig("kubelet")],
      ...["--hostname-override", nodeName, "--node-ip", nodeAddress, "--root-dir", "/var/lib/kubelet"],
    ],
  });
  await components.start("kube-proxy", {
    argv: [binaries["kube-proxy"], "--config", file("kube-proxy.json"), "--hostname-override", nodeName],
  });
  await api.apply(DNS_ROLE);
  await components.start("coredns", { argv: [binaries.coredns, "-conf", file("Corefile")] });
  await components.ready("kubelet", async () => isReady(await (await api.request(`/api/v1/nodes/${nodeName}`)).json()));
}

/** Whether a Node object has the condition Ready=True; anything else (404 included) is not ready. */
function isReady(node: unknown): boolean {
  // core/v1 Node or Status: both are checked by reading.
  const { status } = node as { status?: { conditions?: { type: string; status: string }[] } | string };
  return typeof status === "object" && status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true;
}

async function importArchive(exec: NodeCluster["exec"], directory: string, archive: string): Promise<void> {
  const { code, stderr, stdout } = await exec(["ctr", "-a", containerdSocket(directory), "-n", "k8s.io", "images", "import", archive]);
  if (code !== 0) throw new Error(`ctr images import ${archive}: ${stderr.trim() || stdout.trim()}`);
}

function writeInto(directory: string, name: string, text: string): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o600 });
}

/** The network namespace is empty, so everything listens where it does in production. */
const nodeLayout = (directory: string, { nodeAddress, serviceRange }: NodeAddresses, audit: boolean): Layout => ({
  directory,
  apiAddress: nodeAddress,
  ports: { api: 6443, etcd: 2379, etcdPeer: 2380, controllerManager: 10257, scheduler: 10259 },
  serviceRange,
  hasNode: true,
  ...(audit ? { auditLog: join(directory, "audit.log") } : {}),
});
