// Why: the only things a node cluster makes on the machine itself: one link, two routes, one cgroup per hierarchy. Their
// names derive from the cluster's number, so whoever knows the number can remove them. Nothing else on the machine changes.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, runOrThrow } from "../../../scripts/host/command.ts";
import { eventually } from "../eventually.ts";

/** Node clusters may run side by side, each with a number below this. */
export const NODE_NUMBERS = 100;

/** Every name and address of node cluster `number`. */
export const nodeAddresses = (number: number) => ({
  number,
  link: `nexus${number}`,
  cgroup: `nexus-${number}`,
  nodeName: `node-${number}`,
  /** The machine's end of the link: pods reach programs on the machine here. */
  hostAddress: `10.240.${number}.1`,
  nodeAddress: `10.240.${number}.2`,
  podRange: `10.${100 + number}.0.0/24`,
  serviceRange: `10.241.${number}.0/24`,
  firstService: `10.241.${number}.1`,
});
export type NodeAddresses = ReturnType<typeof nodeAddresses>;

/** The smallest number no run holds and whose link does not exist. @throws Error when all are taken */
export function chooseNodeNumber(taken: ReadonlySet<number>): number {
  for (let number = 0; number < NODE_NUMBERS; number++) {
    if (!taken.has(number) && !existsSync(`/sys/class/net/${nodeAddresses(number).link}`)) return number;
  }
  throw new Error(`all ${NODE_NUMBERS} node numbers are in use`);
}

/** Joins the machine and the network namespace of process `pid` by a veth pair, and routes Pods and Services through it. */
export async function connectNode({ link, hostAddress, nodeAddress, podRange, serviceRange }: NodeAddresses, pid: number): Promise<void> {
  await runOrThrow(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", String(pid)]);
  await runOrThrow(["ip", "address", "add", `${hostAddress}/30`, "dev", link]);
  await runOrThrow(["ip", "link", "set", link, "up"]);
  const inside = (...args: string[]) => runOrThrow(["nsenter", "-t", String(pid), "-n", "--", "ip", ...args]);
  await inside("address", "add", `${nodeAddress}/30`, "dev", "eth0");
  await inside("link", "set", "eth0", "up");
  await inside("route", "add", "default", "via", hostAddress);
  for (const range of [podRange, serviceRange]) await runOrThrow(["ip", "route", "add", range, "via", nodeAddress]);
}

/** Makes the cgroup all pods live under, in every hierarchy (cgroup v1) or in the one (v2). */
export function createCgroups({ cgroup }: NodeAddresses): void {
  if (existsSync("/sys/fs/cgroup/cgroup.controllers")) enableControllers();
  for (const root of cgroupRoots()) mkdirSync(join(root, cgroup), { recursive: true });
  // A cpuset group of v1 takes no process until both are filled.
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const parent = join("/sys/fs/cgroup/cpuset", file);
    if (existsSync(parent)) writeFileSync(join("/sys/fs/cgroup/cpuset", cgroup, file), readFileSync(parent));
  }
}

/** Removes the link (its routes go with it) and the cgroups of a node cluster whose processes are gone. */
export async function removeNodeTraces(number: number): Promise<void> {
  const { link, cgroup } = nodeAddresses(number);
  if (existsSync(`/sys/class/net/${link}`)) await run(["ip", "link", "delete", link]); // the kernel may be faster: not an error
  const groups = cgroupRoots().map((root) => join(root, cgroup));
  await eventually(`cgroups ${cgroup} removed`, () => groups.every(removedTree), { timeoutMs: 10_000 });
  await eventually(`link ${link} removed`, () => !existsSync(`/sys/class/net/${link}`));
}

function enableControllers(): void {
  const available = readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ");
  const wanted = available.filter((name) => ["cpu", "cpuset", "memory", "pids", "hugetlb"].includes(name));
  writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", wanted.map((name) => `+${name}`).join(" "));
}

function cgroupRoots(): string[] {
  if (existsSync("/sys/fs/cgroup/cgroup.procs")) return ["/sys/fs/cgroup"];
  if (!existsSync("/sys/fs/cgroup")) return [];
  const roots = readdirSync("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name));
  return roots.filter((root) => existsSync(join(root, "cgroup.procs")));
}

/** Removes a cgroup and those below it; false when one is still busy (its last process is just ending). */
function removedTree(directory: string): boolean {
  if (!existsSync(directory)) return true;
  const below = readdirSync(directory).map((name) => join(directory, name));
  if (!below.filter((path) => statSync(path).isDirectory()).every(removedTree)) return false;
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EBUSY") return false;
    throw error;
  }
}
