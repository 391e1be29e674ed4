// Why: commands reach a cluster as kubectl does: the same flags, the same kubeconfig, the same namespace, over the operator's own
// transport. It must never print a credential, and never write unless its command is there to write.
import { defaultAccess, type KubeAccess, kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport, type Transport } from "@nexus/operator/kube/transport.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import { version } from "../../package.json" with { type: "json" };
import type { Arguments, Option } from "../args.ts";
import type { Io } from "../io.ts";

/** Flags of every command that asks a cluster, named as kubectl names them. */
export const KUBE_OPTIONS: readonly Option[] = [
  { name: "--namespace", short: "-n", value: "NAME", about: "Namespace (that of the kubeconfig's context, or default)." },
  { name: "--context", value: "NAME", about: "Context of the kubeconfig to use." },
  { name: "--kubeconfig", value: "FILE", about: "Kubeconfig (KUBECONFIG, the pod's ServiceAccount, or ~/.kube/config)." },
];

export type Connection = {
  readonly api: KubeApi;
  readonly transport: Transport;
  /** What `-n` says, or the context. */
  readonly namespace: string;
  readonly server: string;
};

/** Something outside went wrong, said so that a person can act on it. Exit code 1. */
export class ClusterFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "ClusterFailure";
  }
}

/** What client-node answers when it finds no kubeconfig anywhere, as kubectl once did. */
const NOBODY = "http://localhost:8080";

/** @throws ClusterFailure when there is no usable kubeconfig. Asks nothing yet. */
export async function connect(args: Arguments, io: Io): Promise<Connection> {
  const access = await accessOf(args, io);
  if (access.server === NOBODY && args.get("--kubeconfig") === undefined)
    throw new ClusterFailure("no cluster to talk to: there is no kubeconfig (--kubeconfig, KUBECONFIG or ~/.kube/config)");
  const transport = createTransport({ access, userAgent: `nexus-cli/${version}`, timeoutMs: 30_000 });
  return {
    api: createKubeApi({ transport }),
    transport,
    namespace: args.get("--namespace") ?? access.namespace ?? "default",
    server: access.server,
  };
}

async function accessOf(args: Arguments, io: Io): Promise<KubeAccess> {
  const [path, context] = [args.get("--kubeconfig"), args.get("--context")];
  try {
    return await (path === undefined ? defaultAccess(io.env, context) : kubeconfigAccess(path, context));
  } catch (error) {
    const where = path ?? io.env.KUBECONFIG;
    const why = error instanceof Error ? error.message : String(error);
    const what = context === undefined ? "no cluster to talk to" : `no cluster to talk to with context ${context}`;
    throw new ClusterFailure(`${what}${where === undefined ? "" : ` (${where})`}: ${why}`, error);
  }
}

/** Runs `work` and turns what an API server refuses into words; other errors go on as they are. */
export async function withCluster(args: Arguments, io: Io, work: (connection: Connection) => Promise<number>): Promise<number> {
  let connection: Connection | undefined;
  try {
    connection = await connect(args, io);
    return await work(connection);
  } catch (error) {
    if (error instanceof ClusterFailure) io.err(`nexus: ${error.message}`);
    else if (error instanceof KubeError) io.err(`nexus: ${failureText(error, connection?.server ?? "the API server")}`);
    else throw error;
    return 1;
  }
}

/** A refusal with what to do about it. */
export function failureText(error: KubeError, server: string): string {
  if (error.status === 401)
    return `${server} does not accept these credentials (log in again, or choose another --context): ${error.message}`;
  if (error.status === 403) return `not allowed; ask for this right: ${error.message}`;
  if (error.status === 404 && /\/apis\/nexus\.dev\//.test(error.message))
    return `${server} does not know our kinds: apply crds/ first (${error.message})`;
  if (error.status === 0) return `${server} did not answer: ${error.message}`;
  return error.message;
}
