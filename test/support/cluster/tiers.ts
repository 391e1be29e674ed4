// Why: a machine that cannot run a tier skips it and says what it lacks. One place knows what each tier needs. It must
// never start a cluster, and never call a tier unavailable for a reason that starting it would not have hit too.
import { readFileSync } from "node:fs";
import { platform } from "node:os";
import { run } from "../../../scripts/host/command.ts";
import { ensurePackages } from "../apt.ts";
import { unavailableDefinitions } from "../kube/published-crds.ts";
import { unavailableBinaries } from "./binaries.ts";
import { CONTROL_PLANE_TOOLS, NODE_TOOLS } from "./tools.ts";

/** What the node tier takes from Debian; everything else is compiled or part of every Debian. */
export const NODE_PACKAGES = [
  "containerd",
  "runc",
  "containernetworking-plugins",
  "nftables",
  "iptables",
  "conntrack",
  "iproute2",
] as const;

/** CAP_NET_ADMIN (links, routes) and CAP_SYS_ADMIN (namespaces, mounts), capabilities(7). */
const NEEDED_CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const;

/** Why the tier `name` cannot run here; undefined when it can, and for tiers that need no cluster. */
export async function unavailableTier(name: string): Promise<string | undefined> {
  if (name === "control-plane") return await unavailableControlPlane();
  if (name === "node") return await unavailableNode();
  if (name === "chart") return unavailableBinaries(["helm"]);
  return undefined;
}

/** Why no control plane that knows the kinds of others can be started here, or undefined. */
export async function unavailableControlPlane(): Promise<string | undefined> {
  if (platform() === "win32") return "the Kubernetes control plane does not run on Windows";
  return unavailableBinaries(CONTROL_PLANE_TOOLS) ?? unavailableDefinitions();
}

/** Why no node with pods can be started here, or undefined. Installs missing Debian packages when it may. */
export async function unavailableNode(): Promise<string | undefined> {
  if (platform() !== "linux") return "a Kubernetes node runs on Linux only";
  if (process.getuid?.() !== 0) return "a Kubernetes node needs root";
  const lacking = lackingCapabilities();
  if (lacking.length > 0) return `a Kubernetes node needs ${lacking.join(" and ")}, and this process may not have them`;
  const namespaces = await run(["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]);
  if (namespaces.code !== 0) return `a Kubernetes node needs namespaces of its own: ${namespaces.stderr.trim()}`;
  return unavailableBinaries(NODE_TOOLS) ?? (await ensurePackages(NODE_PACKAGES));
}

function lackingCapabilities(): string[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const held = BigInt(`0x${effective}`);
  return Object.entries(NEEDED_CAPABILITIES).flatMap(([name, bit]) => (held & (1n << bit) ? [] : [name]));
}
