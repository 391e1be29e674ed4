// Why: the rendering depends on how the operator was started (its image of the servers, its id, where its pods are); that is read
// from its Deployment, with the operator's own reader of settings. What cannot be seen is said, never guessed in silence.
import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Arguments } from "../args.ts";
import type { Connection } from "../kube/connect.ts";
import { OPERATOR_SELECTOR } from "../render/operator-labels.ts";

type Env = { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath?: string } } };
type Deployment = KubeObject & {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly args?: readonly string[]; readonly env?: readonly Env[] }[] };
    };
  };
};

/** `note`: what was assumed because the operator could not be seen. Flags win over what was seen. */
export type OperatorContext = { readonly context: RenderContext; readonly note: string | undefined };

export async function operatorContext({ api }: Connection, args: Arguments): Promise<OperatorContext> {
  const flags = new Map(
    [
      ["--server-image", "--server-image"],
      ["--operator-id", "--id"],
      ["--redis-image", "--redis-image"],
    ].flatMap(([from = "", to = ""]) => {
      const value = args.get(from);
      return value === undefined ? [] : [[to, value] as const];
    }),
  );
  const found = await find(api);
  const settings = typeof found === "object" ? settingsOf(found) : { env: {}, flags: new Map<string, string>() };
  const parsed = parseOptions({ env: settings.env, flags: new Map([...settings.flags, ...flags]) });
  const own = parseOptions({ env: {}, flags });
  const options = parsed.ok ? parsed.options : own.ok ? own.options : undefined;
  if (!options) throw new Error("the operator's default settings are refused by itself");
  const context = {
    operatorId: options.operatorId,
    defaultImage: options.serverImage,
    ...(options.redisImage === undefined ? {} : { redisImage: options.redisImage }),
    ...(options.runbookBaseURL === undefined ? {} : { runbookBaseURL: options.runbookBaseURL }),
    ...(options.pods ? { operatorPods: options.pods } : {}),
  };
  return {
    context,
    note: typeof found === "string" ? `${found}: assumed image ${context.defaultImage} and operator id ${context.operatorId}` : undefined,
  };
}

async function find(api: Connection["api"]): Promise<Deployment | string> {
  try {
    const { items } = await api.list<Deployment>(KINDS.Deployment, { labelSelector: OPERATOR_SELECTOR });
    return items[0] ?? "no Deployment of an operator is in this cluster";
  } catch (error) {
    if (isForbidden(error)) return "not allowed to see the operator's Deployment";
    throw error;
  }
}

/** What the operator's process was told; a field reference to its namespace is the Deployment's. */
function settingsOf({ metadata, spec }: Deployment): {
  readonly env: Readonly<Record<string, string>>;
  readonly flags: ReadonlyMap<string, string>;
} {
  const [container] = spec.template.spec.containers;
  const env: Record<string, string> = {};
  for (const { name, value, valueFrom } of container?.env ?? []) {
    if (value !== undefined) env[name] = value;
    else if (valueFrom?.fieldRef?.fieldPath === "metadata.namespace" && metadata.namespace !== undefined) env[name] = metadata.namespace;
  }
  const flags = new Map<string, string>();
  const words = container?.args ?? [];
  for (const [at, word] of words.entries()) {
    if (!word.startsWith("--")) continue;
    const equals = word.indexOf("=");
    if (equals > 0) flags.set(word.slice(0, equals), word.slice(equals + 1));
    else if (words[at + 1] !== undefined && !words[at + 1]?.startsWith("--")) flags.set(word, words[at + 1] ?? "");
  }
  return { env, flags };
}
