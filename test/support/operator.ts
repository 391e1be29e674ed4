// Why: what every test of the whole operator needs: an API server with our CRDs and our RBAC, an operator that runs under that
// RBAC as a user would run it, and what it wrote, from the audit log. It must never grant the operator more than the chart does.
import { join } from "node:path";
import { type RunningOperator, startOperator } from "@nexus/operator/main.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import { type AuditEvent, isWrite } from "./cluster/audit.ts";
import { type ControlPlane, startControlPlane } from "./cluster/control-plane.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";

const root = join(import.meta.dir, "../..");
const NAMESPACE = "nexus-system";
const USER = `system:serviceaccount:${NAMESPACE}:nexus-operator`;

export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
};
/** An object as kubectl prints it; `spec` and `status` as the test expects them. */
export type Seen = {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string; readonly generation?: number };
  readonly spec?: Record<string, unknown>;
  readonly data?: Record<string, string>;
  readonly status?: { readonly conditions?: readonly Condition[] } & Record<string, unknown>;
};

export type OperatorProcess = AsyncDisposable & {
  readonly pid: number;
  /** Exit code once it ended. */
  readonly exited: Promise<number>;
  signal(name: NodeJS.Signals): void;
  /** Lines of its log so far, parsed. */
  log(): readonly Record<string, unknown>[];
};

export type Stage = AsyncDisposable & {
  readonly plane: ControlPlane;
  /** kubectl's output; a failure is an error with its words. */
  kubectl(...args: readonly string[]): Promise<string>;
  get(resource: string, namespace: string): Promise<Seen | undefined>;
  condition(resource: string, namespace: string, type: string): Promise<Condition | undefined>;
  /** Waits for a condition of an object; answers it. */
  until(resource: string, namespace: string, want: Partial<Condition> & { readonly type: string }, timeoutMs?: number): Promise<Condition>;
  /** An operator in this process, under the chart's RBAC. `server` replaces the API server's address (a proxy). */
  operator(flags?: Readonly<Record<string, string>>, server?: string): Promise<RunningOperator & AsyncDisposable>;
  /** An operator as a process of its own, with the CLI's command. */
  process(flags?: Readonly<Record<string, string>>): Promise<OperatorProcess>;
  /** Write requests of our operators so far, Lease renewals left out. */
  writes(): Promise<readonly AuditEvent[]>;
};

/** A test Lease: short, so that a hand-over takes seconds. */
const FLAGS = { "--port": "0", "--local-port": "0", "--lease-namespace": NAMESPACE, "--server-image": "nexus.dev/nexus:test" };

/** `bare`: no CRDs, no rights, no namespace: the test installs them, before it starts an operator. */
export async function startStage({ bare = false }: { readonly bare?: boolean } = {}): Promise<Stage> {
  const plane = await startControlPlane();
  const kubectl = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await plane.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
    return stdout;
  };
  try {
    if (!bare) await install(plane, kubectl);
  } catch (error) {
    await plane[Symbol.asyncDispose]();
    throw error;
  }
  let account: Promise<string> | undefined;
  const kubeconfigOf = () => {
    account ??= plane.kubeconfigFor(USER, [], "token");
    return account;
  };

  const get = async (resource: string, namespace: string): Promise<Seen | undefined> => {
    const { code, stdout, stderr } = await plane.kubectl(["get", resource, "-n", namespace, "-o", "json"]);
    if (code === 0) return JSON.parse(stdout) as Seen; // kubectl prints the object that was asked for
    if (stderr.includes("NotFound")) return undefined;
    throw new Error(stderr.trim());
  };
  const condition = async (resource: string, namespace: string, type: string) =>
    (await get(resource, namespace))?.status?.conditions?.find((one) => one.type === type);

  return {
    plane,
    kubectl,
    get,
    condition,
    until: (resource, namespace, want, timeoutMs = PATIENCE_MS) =>
      eventually(
        `${resource} has ${JSON.stringify(want)}`,
        async () => {
          const found = await get(resource, namespace);
          const one = found?.status?.conditions?.find(({ type }) => type === want.type);
          const isCurrent = one?.observedGeneration === found?.metadata.generation;
          const fits = one && isCurrent && Object.entries(want).every(([name, value]) => Reflect.get(one, name) === value);
          // The last word of a wait that gives up: everything the object says.
          if (!fits) throw new Error(JSON.stringify(found?.status?.conditions ?? "no status", undefined, 1));
          return one;
        },
        { timeoutMs, intervalMs: 100 },
      ),
    async operator(flags = {}, server) {
      const parsed = parseOptions({ env: {}, flags: new Map(Object.entries({ ...FLAGS, ...flags })) });
      if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
      const kubeconfig = await kubeconfigOf();
      const path = server === undefined ? kubeconfig : await redirected(kubeconfig, plane, server);
      const running = await startOperator(parsed.options, { KUBECONFIG: path });
      return { ...running, [Symbol.asyncDispose]: () => running.stop() };
    },
    process: async (flags = {}) => startProcess({ kubeconfig: await kubeconfigOf(), flags: { ...FLAGS, ...flags } }),
    writes: async () =>
      (await plane.auditEvents()).filter(
        (event) => isWrite(event) && event.user.username === USER && event.objectRef?.resource !== "leases",
      ),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

/** CRDs and rights, in force; test/chart proves that they are the chart's own. */
async function install(plane: ControlPlane, kubectl: Stage["kubectl"]): Promise<void> {
  await kubectl("apply", "-f", join(root, "crds"));
  const manifests = ["namespace", "rbac", "admission-policy"].flatMap((name) => ["-f", join(root, `operator/deploy/${name}.yaml`)]);
  await kubectl("apply", ...manifests);
  await kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
  // The API server reads its rules behind their writes: an operator that is quicker is denied what it was granted.
  const mayBoth = async () => {
    const rules = [
      { group: "nexus.dev", resource: "nexusclusters", verb: "list" },
      { group: "coordination.k8s.io", resource: "leases", verb: "create", namespace: NAMESPACE },
    ];
    return (await Promise.all(rules.map((rule) => may(plane, rule)))).every(Boolean);
  };
  await eventually("the operator's rights are in force", mayBoth);
}

/** Whether the operator's account may do this. */
async function may(plane: ControlPlane, resourceAttributes: Readonly<Record<string, string>>): Promise<boolean> {
  const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  const body = JSON.stringify({ spec: { user: USER, groups: ["system:serviceaccounts"], resourceAttributes } });
  const answer = await plane.request(path, { method: "POST", body });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { status: { allowed: boolean } }).status.allowed; // authorization.k8s.io/v1
}

/** A copy of a kubeconfig that leads to another address of the same API server. */
async function redirected(kubeconfig: string, plane: ControlPlane, server: string): Promise<string> {
  const path = join(plane.directory, `redirected-${crypto.randomUUID()}.kubeconfig`);
  await Bun.write(path, (await Bun.file(kubeconfig).text()).replaceAll(plane.server, server));
  return path;
}

function startProcess({ kubeconfig, flags }: { readonly kubeconfig: string; readonly flags: Record<string, string> }): OperatorProcess {
  const args = Object.entries(flags).map(([name, value]) => `${name}=${value}`);
  const child = Bun.spawn([process.execPath, join(root, "cli/src/main.ts"), "operator", ...args], {
    env: { PATH: process.env.PATH ?? "", KUBECONFIG: kubeconfig },
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  const read = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) text += decoder.decode(chunk, { stream: true });
  })();
  return {
    pid: child.pid,
    exited: child.exited,
    signal: (name) => child.kill(name),
    log: () =>
      text
        .slice(0, text.lastIndexOf("\n") + 1)
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>), // our own log: one object a line
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await child.exited;
      await read;
    },
  };
}

/** How a write reads in a failed assertion. */
export const textOf = ({ verb, objectRef: ref, responseStatus }: AuditEvent): string =>
  `${verb} ${ref?.resource}${ref?.subresource ? `/${ref.subresource}` : ""} ${ref?.namespace}/${ref?.name} ${responseStatus?.code}`;

/** What was written in this namespace: a fleet of another test may be due for the copy its pods boot from, up to a minute later. */
export const within = (namespace: string, writes: readonly AuditEvent[]): readonly AuditEvent[] =>
  writes.filter(({ objectRef }) => objectRef?.namespace === namespace);

/** Waits until the operators wrote nothing for `quietMs`; answers all writes so far. */
export async function settled(stage: Stage, quietMs = 3_000): Promise<readonly AuditEvent[]> {
  let count = -1;
  let sinceMs = performance.now();
  return await eventually(
    `no write for ${quietMs} ms`,
    async () => {
      const writes = await stage.writes();
      if (writes.length !== count) {
        count = writes.length;
        sinceMs = performance.now();
      }
      return performance.now() - sinceMs >= quietMs ? writes : undefined;
    },
    { timeoutMs: 60_000, intervalMs: 100 },
  );
}
