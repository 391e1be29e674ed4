// Why: an operator that says it is ready and cannot lead ends a rollout that took the working one away. It is ready from the moment it
// has seen all it needs to lead, and says until then what it lacks; what is only optional keeps nobody waiting.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOperator } from "@nexus/operator/main.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import { eventually } from "../support/eventually.ts";
import { status as refusal, startScriptedApi, watchStream } from "../support/kube/scripted-api.ts";

const RULES = "/apis/monitoring.coreos.com/v1/prometheusrules";

const listed = { metadata: { resourceVersion: "1" }, items: [] };
const discovered = {
  metadata: { name: "monitoring.coreos.com" },
  versions: [
    {
      version: "v1",
      resources: [{ resource: "prometheusrules", responseKind: { kind: "PrometheusRule" }, scope: "Namespaced", verbs: ["list", "watch"] }],
    },
  ],
};

/** Serves every kind, empty, and prometheus-operator's; a Lease nobody may have. What `special` answers goes first. */
async function apiServer(special: (path: string) => Response | Promise<Response> | undefined) {
  const api = await startScriptedApi(({ path, query }) => {
    const answer = special(path);
    if (answer) return answer;
    if (path.includes("/leases")) return refusal(403, "Forbidden");
    if (path === "/api" || path === "/apis") return Response.json({ items: path === "/apis" ? [discovered] : [] });
    return query.get("watch") === "true" ? watchStream().response : Response.json(listed);
  });
  const folder = mkdtempSync(join(tmpdir(), "nexus-readiness-"));
  const path = join(folder, "kubeconfig");
  const cluster = { name: "k", cluster: { server: api.server, "insecure-skip-tls-verify": true } };
  const config = { contexts: [{ name: "c", context: { cluster: "k", user: "u" } }], users: [{ name: "u", user: { token: "t" } }] };
  writeFileSync(path, JSON.stringify({ apiVersion: "v1", kind: "Config", "current-context": "c", clusters: [cluster], ...config }));
  return {
    api,
    env: { KUBECONFIG: path },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** An operator that stands by for ever: nobody gives it the Lease. */
async function standby(env: Readonly<Record<string, string>>) {
  const flags = { "--port": "0", "--local-port": "0", "--lease-namespace": "nexus-system", "--log-level": "error" };
  const parsed = parseOptions({ env, flags: new Map(Object.entries(flags)) });
  if (!parsed.ok) throw new Error(parsed.errors.join("; "));
  const operator = await startOperator(parsed.options, env);
  const ready = async () => {
    const answer = await fetch(`${operator.url}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  return { ready, [Symbol.asyncDispose]: () => operator.stop() };
}

test("without the right to read Secrets it is not ready and says why; with it, it is, though it only stands by", async () => {
  let isAllowed = false;
  await using server = await apiServer((path) => (!isAllowed && path.endsWith("/secrets") ? refusal(403, "Forbidden") : undefined));
  await using operator = await standby(server.env);
  const text = await eventually("Secrets are all it lacks, and why is known", async () => {
    const answer = await operator.ready();
    expect(answer.status).toBe(503);
    return /^no list of every Secret yet: .*Forbidden by script\n$/.test(answer.text) && answer.text;
  });
  expect(text.trim().split("\n").length).toBe(1);
  isAllowed = true;
  await eventually("it is ready", async () => (await operator.ready()).text === "ok\nstandby\n");
});

test("a kind of others that is served and cannot be read keeps nobody from being ready", async () => {
  await using server = await apiServer((path) => (path === RULES ? refusal(403, "Forbidden") : undefined));
  await using operator = await standby(server.env);
  await eventually("rules were asked for", () => server.api.seen.some(({ path }) => path === RULES));
  await eventually("it is ready", async () => (await operator.ready()).text === "ok\nstandby\n");
});

test("before discovery has answered nobody knows what there is to take care of; one that fails keeps nobody waiting", async () => {
  const gate = Promise.withResolvers<Response>();
  await using server = await apiServer((path) => (path === "/apis" ? gate.promise : undefined));
  await using operator = await standby(server.env);
  await eventually("discovery is all it lacks", async () => {
    const answer = await operator.ready();
    expect(answer.status).toBe(503);
    return answer.text === "discovery has not answered yet\n";
  });
  gate.resolve(refusal(503, "ServiceUnavailable"));
  await eventually("it is ready", async () => (await operator.ready()).text === "ok\nstandby\n");
});
