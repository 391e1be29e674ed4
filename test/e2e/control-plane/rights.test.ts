// Why: what the chart grants is judged by the API server itself: the admission policy lets the deletion cost through and nothing
// else, the operator's requests have their own share, and nothing it was granted reaches further than documented.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { parseAllDocuments } from "yaml";
import { eventually } from "../../support/eventually.ts";
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

/** A patch under the operator's own account, which may not even read the pod; answers what the API server said. */
async function patch(name: string, body: object): Promise<string> {
  const response = await fetch(`${stage.plane.server}/api/v1/namespaces/${NAMESPACE}/pods/${name}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/strategic-merge-patch+json" },
    body: JSON.stringify(body),
    tls: { ca: stage.plane.caPem },
  });
  const { message = "patched" } = (await response.json()) as { readonly message?: string }; // v1 Status, or the Pod
  return message;
}
const annotated = (annotations: Record<string, string | null>) => ({ metadata: { annotations } });

test("the deletion cost of a server can be set, changed and taken away", async () => {
  // A policy takes effect a moment after it was made: the first refusal says that it has.
  await eventually("the policy holds", async () =>
    (await patch("ours", annotated({ other: "x" }))).includes("pod-deletion-cost of a pod only"),
  );
  for (const cost of ["5", "7", null]) expect(await patch("ours", annotated({ [COST]: cost }))).toBe("patched");
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
  expect(said).toContain("ValidatingAdmissionPolicy 'nexus-operator.nexus-system'");
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
    ["delete", "secrets"],
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

test("the plain manifests pass the API server without a warning, and their pods the Restricted profile", async () => {
  const path = `${import.meta.dir}/../../../operator/deploy/deployment.yaml`;
  const { stderr } = await stage.plane.kubectl(["apply", "--dry-run=server", "-f", path]);
  expect(stderr).toBe("");
  const [deployment] = parseAllDocuments(await Bun.file(path).text()).map((one) => one.toJS() as { spec: { template: object } });
  const asPod = { apiVersion: "v1", kind: "Pod", ...deployment?.spec.template, metadata: { name: "one", namespace: "nexus-system" } };
  expect(await stage.plane.kubectl(["create", "--dry-run=server", "-f", "-"], { stdin: JSON.stringify(asPod) })).toMatchObject({ code: 0 });
});
