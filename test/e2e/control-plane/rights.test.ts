// Why: what the chart grants is judged by the API server itself: the admission policy lets the deletion cost through and nothing
// else, the operator's requests have their own share, and nothing it was granted reaches further than documented.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createEventRecorder } from "@nexus/operator/kube/events.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { parseAllDocuments } from "yaml";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { type Stage, startStage } from "../../support/operator.ts";

setDefaultTimeout(60_000);

const NAMESPACE = "rights";
const COST = "controller.kubernetes.io/pod-deletion-cost";
let stage: Stage;
let kubeconfig: string;
let token: string;

const pod = (name: string, managedBy: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name,
    namespace: NAMESPACE,
    labels: { "app.kubernetes.io/managed-by": managedBy },
    annotations: { theirs: "kept" },
  },
  spec: { containers: [{ name: "server", image: "nexus.dev/nexus:test" }], tolerations: [] },
});

beforeAll(async () => {
  stage = await startStage();
  await stage.kubectl("create", "namespace", NAMESPACE);
  await eventually("the namespace has its account", async () => stage.get("serviceaccount/default", NAMESPACE));
  await stage.plane.apply([pod("ours", "nexus-operator"), pod("theirs", "somebody")]);
  kubeconfig = await stage.plane.kubeconfigFor("system:serviceaccount:nexus-system:nexus-operator", [], "token");
  const { users } = JSON.parse(await Bun.file(kubeconfig).text()) as {
    readonly users: readonly { readonly user: { readonly token: string } }[];
  }; // written by kubeconfigFor
  token = users[0]?.user.token ?? "";
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
});

/** A request under the operator's own account; answers "done", or what the API server said. */
async function ask(method: "PATCH" | "POST" | "DELETE", path: string, body?: object): Promise<string> {
  const contentType = method === "PATCH" ? "application/strategic-merge-patch+json" : "application/json";
  const response = await fetch(`${stage.plane.server}/api/v1/namespaces/${NAMESPACE}/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": contentType },
    ...(body ? { body: JSON.stringify(body) } : {}),
    tls: { ca: stage.plane.caPem },
  });
  const { message = "no message" } = (await response.json()) as { readonly message?: string }; // v1 Status, or the object
  return response.ok ? "done" : message;
}
const patch = (name: string, body: object): Promise<string> => ask("PATCH", `pods/${name}`, body);
const annotated = (annotations: Record<string, string | null>) => ({ metadata: { annotations } });

test("the deletion cost of a server can be set, changed and taken away", async () => {
  // A policy takes effect a moment after it was made: the first refusal says that it has.
  await eventually("the policy holds", async () =>
    (await patch("ours", annotated({ other: "x" }))).includes("pod-deletion-cost of a pod only"),
  );
  for (const cost of ["5", "7", null]) expect(await patch("ours", annotated({ [COST]: cost }))).toBe("done");
});

test.each([
  ["another annotation", "ours", annotated({ other: "x" }), `the annotation ${COST} of a pod only`],
  ["another annotation beside it", "ours", annotated({ [COST]: "1", other: "x" }), `the annotation ${COST} of a pod only`],
  ["an annotation of theirs", "ours", annotated({ theirs: "changed" }), `the annotation ${COST} of a pod only`],
  ["an annotation of theirs away", "ours", annotated({ theirs: null }), `the annotation ${COST} of a pod only`],
  ["a label", "ours", { metadata: { labels: { "app.kubernetes.io/managed-by": "somebody" } } }, "nothing of a pod but an annotation"],
  ["a finalizer", "ours", { metadata: { finalizers: ["example.com/held"] } }, "nothing of a pod but an annotation"],
  ["the image", "ours", { spec: { containers: [{ name: "server", image: "evil" }] } }, "nothing of a pod but an annotation"],
  ["a pod of somebody else", "theirs", annotated({ [COST]: "1" }), "pods of its own fleets only"],
])("refused, with the reason: %s", async (_what, name, body, words) => {
  const said = await patch(name, body);
  expect(said).toContain(words);
  expect(said).toContain("ValidatingAdmissionPolicy 'nexus-operator.nexus-system.pods'");
});

const secret = (name: string, managedBy: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: NAMESPACE, labels: { "app.kubernetes.io/managed-by": managedBy } },
});
const labelled = (managedBy: string) => ({ metadata: { labels: { "app.kubernetes.io/managed-by": managedBy } } });

test("a Secret is written only when it is the operator's own, before and after", async () => {
  await stage.plane.apply([secret("theirs", "somebody")]);
  const mine = "changes and deletes Secrets only that it made";
  const label = "labels every Secret it writes as its own";
  expect(await ask("POST", "secrets", secret("mine", "nexus-operator"))).toBe("done");
  expect(await ask("PATCH", "secrets/mine", { stringData: { key: "x" } })).toBe("done");
  expect(await ask("POST", "secrets", secret("fake", "somebody"))).toContain(label);
  expect(await ask("PATCH", "secrets/mine", labelled("somebody"))).toContain(label);
  expect(await ask("PATCH", "secrets/theirs", { stringData: { key: "x" } })).toContain(mine);
  expect(await ask("PATCH", "secrets/theirs", labelled("nexus-operator"))).toContain(mine);
  expect(await ask("DELETE", "secrets/theirs")).toContain(mine);
  expect(await ask("DELETE", "secrets/mine")).toBe("done");
  expect(await stage.get("secret/theirs", NAMESPACE)).toMatchObject({ metadata: { name: "theirs" } });
});

test("others are not held to it", async () => {
  await stage.kubectl("annotate", "pod", "-n", NAMESPACE, "theirs", "other=x");
  expect((await stage.get("pod/theirs", NAMESPACE))?.metadata).toMatchObject({ annotations: { other: "x", theirs: "kept" } });
});

test("the account can do what is documented, and not what would hand out more", async () => {
  const can = async (...args: string[]) =>
    (await stage.plane.kubectl(["--kubeconfig", kubeconfig, "auth", "can-i", "-q", ...args])).code === 0;
  expect(await can("get", "secrets", "-n", NAMESPACE)).toBe(true);
  expect(await can("patch", "deployments.apps/scale", "-n", NAMESPACE)).toBe(true);
  const never = [
    ["create", "pods"],
    ["create", "pods", "--subresource=exec"],
    ["delete", "pods"],
    ["delete", "deployments.apps"],
    ["delete", "nexusclusters.nexus.dev"],
    ["update", "nexusclusters.nexus.dev"],
    ["delete", "tenants.nexus.dev"],
    ["create", "roles.rbac.authorization.k8s.io"],
    ["create", "serviceaccounts", "--subresource=token"],
    ["impersonate", "users"],
    ["get", "nodes"],
  ];
  for (const words of never) expect([...words, await can(...words, "-n", NAMESPACE)]).toEqual([...words, false]);
  expect(await can("update", "leases.coordination.k8s.io/nexus-operator", "-n", "nexus-system")).toBe(true);
  expect(await can("update", "leases.coordination.k8s.io/another", "-n", "nexus-system")).toBe(false);
  expect(await can("update", "leases.coordination.k8s.io/nexus-operator", "-n", NAMESPACE)).toBe(false);
});

test("a note that repeats becomes one event with a count, under the operator's own rights", async () => {
  const clock = new ManualClock(Date.now());
  const transport = createTransport({ access: await kubeconfigAccess(kubeconfig), userAgent: "nexus-operator/events-of-half-an-hour" });
  const errors: unknown[] = [];
  const recorder = createEventRecorder({
    ...{ api: createKubeApi({ transport }), clock, controller: "nexus.dev/operator", instance: "rights" },
    onError: (error) => errors.push(error),
  });
  const uid = (await stage.get("pod/ours", NAMESPACE))?.metadata.uid ?? "";
  const regarding = { apiVersion: "v1", kind: "Pod", metadata: { name: "ours", namespace: NAMESPACE, uid } };
  for (let minute = 0; minute < 3; minute++) {
    recorder.record({ regarding, type: "Warning", reason: "Repeats", action: "Testing", note: "again and again" });
    await recorder.flush();
    await clock.advance(60_000);
  }
  expect(errors).toEqual([]);
  const events = JSON.parse(await stage.kubectl("get", "events.v1.events.k8s.io", "-n", NAMESPACE, "-o", "json")) as {
    readonly items: readonly { readonly reason: string; readonly series?: { readonly count: number } }[]; // events.k8s.io/v1
  };
  expect(events.items.filter(({ reason }) => reason === "Repeats").map(({ series }) => series?.count)).toEqual([3]);
});

test("the plain manifests pass the API server without a warning, and their pods the Restricted profile", async () => {
  const path = `${import.meta.dir}/../../../operator/deploy/deployment.yaml`;
  const { stderr } = await stage.plane.kubectl(["apply", "--dry-run=server", "-f", path]);
  expect(stderr).toBe("");
  const [deployment] = parseAllDocuments(await Bun.file(path).text()).map((one) => one.toJS() as { spec: { template: object } });
  const asPod = { apiVersion: "v1", kind: "Pod", ...deployment?.spec.template, metadata: { name: "one", namespace: "nexus-system" } };
  expect(await stage.plane.kubectl(["create", "--dry-run=server", "-f", "-"], { stdin: JSON.stringify(asPod) })).toMatchObject({ code: 0 });
});
