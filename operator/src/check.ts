// Why: `nexus operator check` says whether an installed operator can do its work, from inside the cluster and under its own
// ServiceAccount: `helm test` runs it. It must never write anything but questions (SelfSubjectAccessReview).
import { version } from "../package.json" with { type: "json" };
import { defaultAccess } from "./kube/access.ts";
import { discover } from "./kube/discovery.ts";
import { objectPath } from "./kube/paths.ts";
import { LEASE_NAME, RIGHTS, type Right, type Verb } from "./kube/rights.ts";
import { createTransport, type Transport } from "./kube/transport.ts";
import { type Clock, sleep, systemClock } from "./loop/clock.ts";
import { KINDS } from "./loop/kinds.ts";
import { isNotFound } from "./loop/kube-error.ts";
import { type OperatorOptions, parseOptions } from "./options.ts";

export type CheckOptions = Pick<OperatorOptions, "leaseName" | "leaseSeconds"> & {
  /** Where the Lease is. */
  readonly leaseNamespace: string;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
};

/** One thing that was looked at; `problem` is a sentence, undefined when it is well. */
export type Finding = { readonly what: string; readonly problem: string | undefined };

/** Looks at everything, also after a problem. Rejects with `KubeError` when the API server does not answer. */
export async function checkOperator(transport: Transport, options: CheckOptions, clock: Clock): Promise<readonly Finding[]> {
  const [kinds, rights, lease] = await Promise.all([
    checkKinds(transport),
    checkRights(transport, options),
    checkLease(transport, options, clock),
  ]);
  return [kinds, rights, lease];
}

async function checkKinds(transport: Transport): Promise<Finding> {
  const seen = await discover(transport);
  const isServed = ({ group, version: wanted, kind }: { group: string; version: string; kind: string }) =>
    seen.kinds.some((one) => one.group === group && one.version === wanted && one.kind === kind);
  const missing = [KINDS.NexusCluster, KINDS.Tenant, KINDS.Template].filter((kind) => !isServed(kind));
  const problem = missing.length > 0 ? `not served: ${missing.map(({ kind }) => kind).join(", ")}; are the CRDs installed?` : undefined;
  return { what: "custom resources are served", problem };
}

/** One right as the API server is asked for it; `namespace` undefined: in all of them. */
export type Question = {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: Verb;
  readonly namespace?: string;
  readonly name?: string;
};

/** Every right as the API server is asked for it; a namespace of "" is all of them. */
export function questionsOf(right: Right, { leaseNamespace, leaseName, namespaces }: CheckOptions): readonly Question[] {
  const listed = namespaces.length > 0;
  const places: Readonly<Record<Right["reach"], readonly (string | undefined)[]>> = {
    Watched: listed ? namespaces : [undefined],
    Cluster: listed ? [] : [undefined],
    Listed: namespaces,
    Release: [leaseNamespace],
  };
  const names = right.names?.map((name) => (name === LEASE_NAME ? leaseName : name)) ?? [undefined];
  return right.kinds.flatMap(({ group, resource }) =>
    places[right.reach].flatMap((namespace) =>
      names.flatMap((name) =>
        right.verbs.map((verb) => ({
          group,
          resource,
          verb,
          ...(right.subresource ? { subresource: right.subresource } : {}),
          ...(namespace ? { namespace } : {}),
          ...(name ? { name } : {}),
        })),
      ),
    ),
  );
}

/** At the same time, no more. */
const QUESTIONS_AT_ONCE = 8;

/** `account`: of whom; whoever asks when absent. Rejects with `KubeError`. */
export async function checkRights(transport: Transport, options: CheckOptions, account?: Account): Promise<Finding> {
  const questions = RIGHTS.flatMap((right) => questionsOf(right, options));
  const denied: string[] = [];
  const waiting = [...questions];
  const ask = async () => {
    for (let question = waiting.shift(); question; question = waiting.shift()) {
      if (!(await isAllowed(transport, question, account))) denied.push(textOf(question));
    }
  };
  await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, ask));
  const problem = denied.length > 0 ? `not granted: ${denied.sort().join("; ")}` : undefined;
  return { what: `${questions.length} rights are granted`, problem };
}

const textOf = ({ verb, resource, subresource, group, namespace }: Question): string =>
  `${verb} ${resource}${subresource ? `/${subresource}` : ""}${group ? `.${group}` : ""}${namespace ? ` in ${namespace}` : ""}`;

/** A ServiceAccount. */
export type Account = { readonly namespace: string; readonly name: string };

/** Of whoever asks, or of an account; the latter needs the right to create SubjectAccessReviews. Rejects with `KubeError`. */
export async function isAllowed(transport: Transport, resourceAttributes: Question, account?: Account): Promise<boolean> {
  const kind = account ? "SubjectAccessReview" : "SelfSubjectAccessReview";
  const who = account && {
    user: `system:serviceaccount:${account.namespace}:${account.name}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${account.namespace}`, "system:authenticated"],
  };
  const { body } = await transport.request({
    method: "POST",
    path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    body: { apiVersion: "authorization.k8s.io/v1", kind, spec: { resourceAttributes, ...who } },
  });
  // authorization.k8s.io/v1: `status.allowed` is always there in an answer.
  return (body as { readonly status: { readonly allowed: boolean } }).status.allowed;
}

const LOOK_EVERY_MS = 500;

/** Somebody leads when the Lease is renewed while we look: its own time says little, clocks of nodes differ. */
async function checkLease(transport: Transport, { leaseName, leaseNamespace, leaseSeconds }: CheckOptions, clock: Clock): Promise<Finding> {
  const path = objectPath({ kind: KINDS.Lease, namespace: leaseNamespace, name: leaseName });
  const until = clock.monotonicMs() + 2 * leaseSeconds * 1000;
  const what = `Lease ${leaseNamespace}/${leaseName} is being renewed`;
  let first: string | undefined;
  while (clock.monotonicMs() < until) {
    const now = await renewedAt(transport, path);
    if (now !== undefined && first !== undefined && now !== first) return { what, problem: undefined };
    first ??= now;
    await sleep(clock, LOOK_EVERY_MS);
  }
  const seconds = 2 * leaseSeconds;
  return { what, problem: first === undefined ? `nobody holds it after ${seconds} s` : `nobody renewed it for ${seconds} s` };
}

/** `spec.renewTime` of a Lease that somebody holds. */
async function renewedAt(transport: Transport, path: string): Promise<string | undefined> {
  try {
    const { body } = await transport.request({ method: "GET", path });
    const { spec } = body as { readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string } }; // coordination.k8s.io/v1
    return spec?.holderIdentity ? spec.renewTime : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** `nexus operator check`: one line per finding; answers 0 when all is well, 1 when not, 2 for wrong settings. */
export async function runCheck(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  out: (line: string) => void,
): Promise<number> {
  const flags = new Map(args.map((word) => [word.split("=")[0] ?? "", word.slice(word.indexOf("=") + 1)]));
  const parsed = parseOptions({ env, flags });
  if (!parsed.ok) {
    for (const error of parsed.errors) out(error);
    return 2;
  }
  const { options } = parsed;
  const access = await defaultAccess(env);
  const transport = createTransport({ access, userAgent: `nexus-operator-check/${version}` });
  const leaseNamespace = options.leaseNamespace ?? access.namespace ?? "default";
  const findings = await checkOperator(transport, { ...options, leaseNamespace }, systemClock);
  for (const { what, problem } of findings) out(problem === undefined ? `ok      ${what}` : `FAILED  ${what}: ${problem}`);
  return findings.every(({ problem }) => problem === undefined) ? 0 : 1;
}
