// Why: whether spans are right is for a program to say that others wrote: the OpenTelemetry Collector takes them over OTLP
// and writes what it understood to a file. It must never be handed to anything but loopback.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBinaries } from "./cluster/binaries.ts";
import { diesWithUs } from "./dies-with-us.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

/** A span as the collector understood it. Times in nanoseconds since 1970; `kind` and `status` as OTLP numbers them. */
export type SeenSpan = {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly status: number;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
};

export type OtelCollector = AsyncDisposable & {
  /** What `tracing.endpoint` is set to. */
  readonly endpoint: string;
  /** Everything received so far. */
  spans(): Promise<readonly SeenSpan[]>;
};

type Value = {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly boolValue?: boolean;
  readonly doubleValue?: number;
};
type Pair = { readonly key: string; readonly value: Value };
/** OTLP as JSON, as its specification says: what is a default is left out. */
type WireSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind?: number;
  readonly status?: { readonly code?: number };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Pair[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
};
type Line = {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes?: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
};

/** Builds the collector where it is not in the cache (a minute on 2 cores). @throws Error with its log when it does not start */
export async function startOtelCollector(): Promise<OtelCollector> {
  const { otelcol } = await ensureBinaries(["otelcol"]);
  const folder = await mkdtemp(join(tmpdir(), "nexus-otelcol-"));
  const [config, file, logFile] = [join(folder, "config.json"), join(folder, "spans.jsonl"), Bun.file(join(folder, "log"))];
  const endpoint = `127.0.0.1:${await freePort()}`;
  await writeFile(config, JSON.stringify(configOf(endpoint, file))); // JSON is YAML
  const child = Bun.spawn(diesWithUs([otelcol, `--config=file:${config}`]), { stdin: "ignore", stdout: logFile, stderr: logFile });
  const stop = async () => {
    child.kill("SIGKILL"); // nothing of it is kept
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually("the collector answers", async () => {
      if (child.exitCode !== null) throw new Error(`the collector ended: ${await logFile.text()}`);
      return (await fetch(`http://${endpoint}/v1/traces`)).status === 405; // it wants a POST
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint: `http://${endpoint}`, spans: () => readSpans(file), [Symbol.asyncDispose]: stop };
}

const configOf = (endpoint: string, path: string) => ({
  receivers: { otlp: { protocols: { http: { endpoint } } } },
  exporters: { file: { path, flush_interval: "100ms" } },
  service: {
    telemetry: { metrics: { level: "none" } },
    pipelines: { traces: { receivers: ["otlp"], exporters: ["file"] } },
  },
});

async function readSpans(path: string): Promise<readonly SeenSpan[]> {
  const text = await Bun.file(path).text();
  const whole = text.slice(0, text.lastIndexOf("\n") + 1); // it may be writing the last one
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => spansOf(JSON.parse(line) as Line)); // the shape is OTLP's
}

const spansOf = ({ resourceSpans }: Line): readonly SeenSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => seen(span, recordOf(resource.attributes)))),
  );

function seen(span: WireSpan, resource: Readonly<Record<string, string>>): SeenSpan {
  const { traceId, spanId, parentSpanId = "", traceState = "", name, kind = 0, status, attributes, links = [] } = span;
  return {
    ...{ traceId, spanId, parentSpanId, traceState, name, kind, resource },
    status: status?.code ?? 0,
    startNanos: BigInt(span.startTimeUnixNano),
    endNanos: BigInt(span.endTimeUnixNano),
    attributes: recordOf(attributes),
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
  };
}

const recordOf = (pairs: readonly Pair[] = []): Readonly<Record<string, string>> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, String(Object.values(value)[0] ?? "")]));
