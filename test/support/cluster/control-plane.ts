// Why: a real API server (etcd, API server, controller manager) on loopback for tests of everything that only an API server
// can judge: CEL, defaulting, server-side apply, RBAC, watches, garbage collection. It needs no root. It must never listen
// beyond loopback, touch the user's kubeconfig, or leave anything behind.
import { join } from "node:path";
import { freePorts } from "../free-port.ts";
import { type ClusterApi, createApi, writeJson } from "./api.ts";
import { AUDIT_POLICY } from "./audit.ts";
import { ensureBinaries } from "./binaries.ts";
import { apiServerCommand, controllerManagerCommand, etcdCommand, type Layout, schedulerCommand } from "./commands.ts";
import { Components } from "./components.ts";
import { type Credentials, createCredentials } from "./credentials.ts";
import { announceRights, recordRights } from "./rights-log.ts";
import { Run } from "./run.ts";
import { CONTROL_PLANE_TOOLS, SCHEDULER_TOOLS } from "./tools.ts";

export type ControlPlaneOptions = {
  /** Garbage collection, ServiceAccounts, Deployments → Pods (default true). */
  readonly controllerManager?: boolean;
  /** Default false: without a node there is nothing to schedule on. */
  readonly scheduler?: boolean;
  /** Keeps the audit log (default true). */
  readonly audit?: boolean;
};

export type ComponentName = "etcd" | "apiserver" | "controller-manager" | "scheduler";

export type ControlPlane = ClusterApi &
  AsyncDisposable & {
    /** Kills a component (SIGKILL) and waits until it is gone. */
    stop(component: ComponentName): Promise<void>;
    /** Starts a stopped component again, on the same port with the same data, and waits until it is ready. */
    start(component: ComponentName): Promise<void>;
    /** Pids on this machine by component. */
    pids(): Record<string, number>;
    /** `http://address:port` of etcd, and the folder of its data. */
    readonly etcd: { readonly server: string; readonly data: string };
  };

const SERVICE_RANGE = "10.241.0.0/24";
const FIRST_SERVICE = "10.241.0.1";

/** Starts a control plane (3-4 s on 2 idle cores once the binaries are built). Dispose it: `await using`. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { controllerManager = true, scheduler = false, audit = true } = options;
  const binaries = await ensureBinaries(scheduler ? [...CONTROL_PLANE_TOOLS, ...SCHEDULER_TOOLS] : CONTROL_PLANE_TOOLS);
  const run = await Run.open();
  try {
    const { directory } = run;
    const layout = await loopbackLayout(directory, audit);
    const apiHosts = [...API_NAMES, "127.0.0.1", FIRST_SERVICE];
    const credentials = await createCredentials({ directory, server: `https://127.0.0.1:${layout.ports.api}`, apiHosts });
    const components = new Components(run, { kind: "machine" });
    const api = createApi({
      directory,
      credentials,
      kubectlBinary: binaries.kubectl,
      ...(layout.auditLog ? { auditLog: layout.auditLog } : {}),
    });
    const parts: CoreParts = { components, api, layout, credentials };
    await startCore(parts, binaries, { controllerManager });
    if (scheduler) {
      // ensureBinaries was asked for the scheduler just when this branch is taken.
      await components.start(
        "scheduler",
        schedulerCommand(binaries as Record<(typeof SCHEDULER_TOOLS)[number], string>, layout, credentials),
      );
    }
    const etcd = { server: `http://127.0.0.1:${layout.ports.etcd}`, data: join(directory, "etcd") };
    return { ...api, ...lifecycle(parts), etcd, [Symbol.asyncDispose]: () => close(run, layout) };
  } catch (error) {
    await run.close();
    throw error;
  }
}

/** Ends a cluster; what its operators were allowed and denied is kept for the run. */
export async function close(run: Run, layout: Layout): Promise<void> {
  recordRights(layout.directory, layout.auditLog);
  await run.close();
}

/** The names an API server answers to inside a cluster. */
export const API_NAMES = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "localhost",
];

export type CoreParts = {
  readonly components: Components;
  readonly api: ClusterApi;
  readonly layout: Layout;
  readonly credentials: Credentials;
};

/** Starts etcd, the API server and the controller manager, and waits until the API answers and namespaces have their ServiceAccount. */
export async function startCore(
  parts: CoreParts,
  binaries: Record<(typeof CONTROL_PLANE_TOOLS)[number], string>,
  options: { controllerManager: boolean },
): Promise<void> {
  const { components, layout, credentials } = parts;
  announceRights(layout.directory);
  if (layout.auditLog) writeJson(join(layout.directory, "audit-policy.json"), AUDIT_POLICY);
  await components.start("etcd", etcdCommand(binaries, layout));
  await components.start("apiserver", apiServerCommand(binaries, layout, credentials)); // it retries until etcd answers
  await componentReady(parts, "apiserver");
  if (!options.controllerManager) return;
  await components.start("controller-manager", controllerManagerCommand(binaries, layout, credentials));
  await componentReady(parts, "controller-manager");
}

/** `stop`, `start` and `pids` over the components of a cluster. */
export function lifecycle(parts: CoreParts): Pick<ControlPlane, "stop" | "start" | "pids"> {
  const { components } = parts;
  return {
    stop: (name) => components.stop(name),
    start: async (name) => {
      await components.start(name);
      await componentReady(parts, name);
    },
    pids: () => components.pids(),
  };
}

async function componentReady({ components, api }: CoreParts, name: ComponentName): Promise<void> {
  const answers = (path: string) => async () => (await api.request(path)).ok;
  if (name === "apiserver" || name === "etcd") await components.ready(name, answers("/readyz"));
  if (name === "controller-manager") await components.ready(name, answers("/api/v1/namespaces/default/serviceaccounts/default"));
}

async function loopbackLayout(directory: string, audit: boolean): Promise<Layout> {
  const [api = 0, etcd = 0, etcdPeer = 0, controllerManager = 0, scheduler = 0] = await freePorts(5);
  return {
    directory,
    apiAddress: "127.0.0.1",
    ports: { api, etcd, etcdPeer, controllerManager, scheduler },
    serviceRange: SERVICE_RANGE,
    hasNode: false,
    ...(audit ? { auditLog: join(directory, "audit.log") } : {}),
  };
}
