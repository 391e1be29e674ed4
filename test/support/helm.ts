// Why: the chart is judged by the real Helm, compiled once from its Go module. It must never touch the user's Helm or
// kubeconfig: every folder it writes is a temporary one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { CommandResult } from "../../scripts/host/command.ts";
import { ensureBinaries } from "./cluster/binaries.ts";

export const CHART = join(import.meta.dir, "../../charts/nexus");

/** A Kubernetes object of a rendering; what a test looks at is its own business. */
export type Rendered = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
};

export type Helm = Disposable & {
  /** A failure is an exit code, not an error. */
  run(...args: readonly string[]): Promise<CommandResult>;
  /** Output of a run. @throws Error with Helm's words */
  text(...args: readonly string[]): Promise<string>;
  /** `helm template nexus` in nexus-system with values. @throws Error with Helm's words */
  render(values: object, ...args: readonly string[]): Promise<readonly Rendered[]>;
};

/** Builds Helm when it is not in the cache (100 s, once). `kubeconfig`: for what speaks to a cluster. */
export async function openHelm(kubeconfig = "/nonexistent"): Promise<Helm> {
  const { helm } = await ensureBinaries(["helm"]);
  const folder = mkdtempSync(join(tmpdir(), "nexus-helm-"));
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    HELM_CACHE_HOME: join(folder, "cache"),
    HELM_CONFIG_HOME: join(folder, "config"),
    HELM_DATA_HOME: join(folder, "data"),
    KUBECONFIG: kubeconfig,
  };
  const run = async (...args: readonly string[]): Promise<CommandResult> => {
    const child = Bun.spawn([helm, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [code, stdout, stderr] = await Promise.all([child.exited, new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code, stdout, stderr };
  };
  const text = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await run(...args);
    if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${stderr.trim() || stdout.trim()}`);
    return stdout;
  };
  return {
    run,
    text,
    async render(values, ...args) {
      const file = join(folder, `values-${crypto.randomUUID()}.json`);
      await Bun.write(file, JSON.stringify(values));
      const output = await text("template", "nexus", CHART, "--namespace", "nexus-system", "--values", file, ...args);
      // What Helm prints are Kubernetes objects.
      return parseAllDocuments(output, { version: "1.1" }).flatMap((document) => (document.toJS() as Rendered | null) ?? []);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `helm template` offline knows what every cluster serves; this is how it hears of prometheus-operator. */
export const WITH_PROMETHEUS = ["-a", "monitoring.coreos.com/v1/PodMonitor", "-a", "monitoring.coreos.com/v1/PrometheusRule"] as const;
