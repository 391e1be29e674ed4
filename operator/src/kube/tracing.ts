// Why: passes as spans, with the writes and pushes they cause below them: where the time between an edit and its effect went.
// It must never change what is traced, and costs one comparison where a pass is not recorded.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Attributes, Span } from "@nexus/tracing/span.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import { createTracing } from "@nexus/tracing/tracing.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { PassTrace } from "../loop/pass-trace.ts";
import { AdminError, type AdminPort } from "../loop/push-ports.ts";
import type { Call, Transport } from "./transport.ts";

export type OperatorTracingOptions = {
  /** Collector; empty: nothing is traced. */
  readonly endpoint: string;
  readonly samplePercent: number;
  readonly headersFile: string;
  readonly version: string;
  /** Of this process. */
  readonly identity: string;
  readonly namespace: string;
  readonly counted: (outcome: "exported" | "failed" | "dropped", count: number) => void;
  /** Told at most once a minute. */
  readonly failed: (reason: string) => void;
};

export type OperatorTracing = {
  readonly pass: PassTrace;
  /** The same, with spans of writes below the pass they belong to. Reads and watches have none. */
  transport(plain: Transport): Transport;
  /** The same, with a span for every push. */
  admin<A extends AdminPort>(plain: A): A;
  stop(): Promise<void>;
};

/** A push follows its pass, and is part of its trace for so long. */
const FOLLOWS_MS = 10_000;
/** Spans below one pass. */
const MAX_BELOW = 200;

type Pass = { readonly span: Span; endedMs: number | undefined; below: number };

export function createOperatorTracing(options: OperatorTracingOptions): OperatorTracing {
  const { endpoint, samplePercent, headersFile, version, identity, namespace, counted, failed } = options;
  const resource = {
    "service.name": "nexus-operator",
    "service.version": version,
    "service.instance.id": identity,
    "k8s.namespace.name": namespace,
  };
  const tracing = createTracing({ resource, version, headersFile, counted, failed });
  if (endpoint !== "") tracing.configure({ endpoint, samplePercent, incomingPerSecond: 0 });
  return { ...tracedWith(tracing.tracer), stop: () => tracing.stop() };
}

/** What is traced, by any tracer. */
export function tracedWith(tracer: Tracer): Omit<OperatorTracing, "stop"> {
  const current = new AsyncLocalStorage<Pass>();

  /** Undefined outside of a recorded pass, and when it has enough spans. */
  function below(name: string, attributes: Attributes): Span | undefined {
    const pass = current.getStore();
    if (!pass || (pass.endedMs !== undefined && tracer.now() - pass.endedMs > FOLLOWS_MS) || pass.below >= MAX_BELOW) return undefined;
    pass.below++;
    return tracer.child(pass.span.context, { name, kind: "client", attributes });
  }

  return {
    async pass(key, work) {
      const span = tracer.isOn ? tracer.root({ name: `reconcile ${kindOf(key)}`, kind: "internal", attributes: factsOf(key) }) : undefined;
      if (!span) return await current.exit(work);
      const pass: Pass = { span, endedMs: undefined, below: 0 };
      try {
        const outcome = await current.run(pass, work);
        span.end();
        return outcome;
      } catch (error) {
        span.end({}, reasonOf(error));
        throw error;
      } finally {
        pass.endedMs = tracer.now();
      }
    },
    transport: (plain) => ({
      stream: (call, onLine, onOpen) => plain.stream(call, onLine, onOpen),
      async request(call) {
        const span = tracer.isOn && call.method !== "GET" ? below(`${call.method} ${resourceOf(call)}`, writeFacts(call)) : undefined;
        return span ? await ended(span, plain.request(call)) : await plain.request(call);
      },
    }),
    admin: (plain) => ({
      ...plain,
      async push(target, request, call) {
        const attributes = { "server.address": target.ip, "nexus.buckets": request.buckets.length };
        const span = tracer.isOn ? below("push", attributes) : undefined;
        const answer = plain.push(target, request, call);
        return span ? await ended(span, answer) : await answer;
      },
    }),
  };
}

async function ended<T extends object>(span: Span, work: Promise<T>): Promise<T> {
  try {
    const answer = await work;
    span.end("status" in answer && typeof answer.status === "number" ? { "http.response.status_code": answer.status } : kindFacts(answer));
    return answer;
  } catch (error) {
    span.end({}, reasonOf(error));
    throw error;
  }
}

const kindFacts = (answer: object): Attributes =>
  "kind" in answer && typeof answer.kind === "string" ? { "nexus.outcome": answer.kind } : {};

/** Never a message: it may name what was in an object. */
function reasonOf(error: unknown): string {
  if (error instanceof KubeError || error instanceof AdminError) return error.reason;
  return "internal";
}

const kindOf = (key: string): string => key.slice(0, Math.max(key.indexOf(":"), 0));

function factsOf(key: string): Attributes {
  const name = key.slice(key.indexOf(":") + 1);
  const slash = name.indexOf("/");
  return { "nexus.work": kindOf(key), "k8s.namespace.name": name.slice(0, Math.max(slash, 0)), "nexus.object": name.slice(slash + 1) };
}

/** `/apis/apps/v1/namespaces/shop/deployments/live-server/scale?…`: namespaced or not, with a name and a sub-resource or without. */
function partsOf({ path }: Call): { readonly namespace: string; readonly resource: string; readonly name: string; readonly sub: string } {
  const [plain = ""] = path.split("?");
  const parts = plain.split("/").slice(plain.startsWith("/apis/") ? 4 : 3);
  const isNamespaced = parts[0] === "namespaces" && parts.length > 2;
  const [resource = "", name = "", sub = ""] = isNamespaced ? parts.slice(2) : parts;
  return { namespace: isNamespaced ? (parts[1] ?? "") : "", resource, name, sub };
}

function resourceOf(call: Call): string {
  const { resource, sub } = partsOf(call);
  return sub === "" ? resource : `${resource}/${sub}`;
}

function writeFacts(call: Call): Attributes {
  const { namespace, name } = partsOf(call);
  return { "http.request.method": call.method, "k8s.namespace.name": namespace, "nexus.object": name };
}
