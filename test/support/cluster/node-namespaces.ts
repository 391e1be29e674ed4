// Why: a node writes to fixed places (/run, /var/lib/kubelet, nftables, sysctls). In mount, network and pid namespaces of
// its own all of that is private, and killing the first process of the pid namespace ends everything at once. It must
// never change a mount or a setting of the machine.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { childrenOf, identify, type ProcessIdentity } from "../processes.ts";
import { spawnDaemon } from "./components.ts";
import type { Run } from "./run.ts";

/** Places programs of a node write to, whatever they are configured to do, and the folder of ours put there instead. */
const PRIVATE_DIRECTORIES = { "/run": "run", "/var/log": "var-log", "/var/lib/kubelet": "kubelet", "/var/lib/cni": "var-lib-cni" } as const;

/** The kubelet sets these for the whole machine when they differ; it finds what it wants in files of ours. */
const KUBELET_SYSCTLS: Readonly<Record<string, number>> = {
  "vm/overcommit_memory": 1,
  "vm/panic_on_oom": 0,
  "kernel/panic": 10,
  "kernel/panic_on_oops": 1,
  "kernel/keys/root_maxkeys": 1_000_000,
  "kernel/keys/root_maxbytes": 25_000_000,
};

/** Opens the namespaces; the process returned is the first of the pid namespace, and recorded in the run. */
export async function openNamespaces(run: Run): Promise<ProcessIdentity> {
  const { directory } = run;
  mkdirSync(join(directory, "logs"), { recursive: true });
  const script = join(directory, "init.sh");
  writeFileSync(script, initScript(directory));
  const unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
  const { pid } = spawnDaemon([...unshare, "bash", script], { log: join(directory, "logs", "init.log"), env: {} });
  const outer = identify(pid);
  const init = await eventually(
    "the namespaces are open",
    () => existsSync(join(directory, "init.ready")) && childrenOf(pid).map(identify)[0],
  );
  if (outer) run.remember(outer);
  run.remember(init);
  return init;
}

/** bash, because its `wait` reaps whatever the pid namespace hands to its first process. */
function initScript(directory: string): string {
  const lines = ["set -e", "mount --make-rshared /"];
  for (const [target, name] of Object.entries(PRIVATE_DIRECTORIES)) {
    const source = join(directory, name);
    mkdirSync(source, { recursive: true });
    mkdirSync(target, { recursive: true }); // an empty folder on the machine, where there was none
    lines.push(`mount --bind '${source}' ${target}`);
  }
  mkdirSync(join(directory, "sysctl"), { recursive: true });
  for (const [name, value] of Object.entries(KUBELET_SYSCTLS)) {
    const source = join(directory, "sysctl", name.replaceAll("/", "."));
    writeFileSync(source, `${value}\n`);
    lines.push(`mount --bind '${source}' /proc/sys/${name}`);
  }
  lines.push("ip link set lo up", "echo 1 >/proc/sys/net/ipv4/ip_forward", `touch '${join(directory, "init.ready")}'`);
  lines.push("trap : TERM INT HUP", "while :; do sleep 3600 & wait; done");
  return `${lines.join("\n")}\n`;
}
