// Why: the check of rights must fail both ways, and say so when it cannot tell; a check that always passes would be worse than none.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RIGHTS } from "@nexus/operator/kube/rights.ts";
import { checkRights, granted, judgeRights, partOfRights, readRights } from "../../scripts/tiers/rights.ts";
import type { AuditEvent } from "../support/cluster/audit.ts";
import { denyOnPurpose, recordRights, rightsOf } from "../support/cluster/rights-log.ts";

const BINDING = 'RBAC: allowed by ClusterRoleBinding "nexus-operator.nexus-system" of ClusterRole "nexus-operator.nexus-system"';

function event(
  verb: string,
  resource: string,
  options: { code?: number; denied?: boolean; user?: string; agent?: string; reason?: string } = {},
): AuditEvent {
  const [name = "", subresource] = resource.split("/");
  const {
    code = 200,
    denied = false,
    user = "system:serviceaccount:nexus-system:nexus-operator",
    agent = "nexus-operator/0.1.0",
    reason = BINDING,
  } = options;
  return {
    auditID: "1",
    stage: "ResponseComplete",
    requestURI: "/",
    verb,
    user: { username: user },
    userAgent: agent,
    objectRef: { apiGroup: "apps", resource: name, namespace: "shop", name: "one", ...(subresource ? { subresource } : {}) },
    responseStatus: { code: denied ? 403 : code },
    annotations: denied
      ? { "authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": "" }
      : { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": reason },
    requestReceivedTimestamp: "2026-01-02T00:00:00.000000Z",
    stageTimestamp: "",
  };
}
const right = (verb: string, resource: string) => ({ verb, group: "apps", resource });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-rights-test-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test("a right that is granted and never used fails, by name", () => {
  const uses = rightsOf([event("get", "deployments"), event("patch", "deployments/scale")]);
  const grants = [right("get", "deployments"), right("patch", "deployments/scale"), right("delete", "deployments")];
  expect(judgeRights(grants, [uses], undefined)).toEqual(["granted and never used: delete deployments.apps"]);
  expect(judgeRights(grants.slice(0, 2), [uses], undefined)).toEqual([]);
});

test("a denied request fails, whatever else was used, also in a part of a run", () => {
  const uses = rightsOf([event("delete", "deployments", { denied: true })]);
  const denied = "denied: delete deployments.apps in shop (one)";
  expect(judgeRights([right("delete", "deployments")], [uses], undefined)).toEqual([
    denied,
    "granted and never used: delete deployments.apps",
  ]);
  expect(judgeRights([right("delete", "deployments")], [uses], "a part")).toEqual([denied]);
});

test("a denial that a test announced is none, any other still is", () => {
  const events = [event("delete", "deployments", { denied: true }), event("get", "deployments", { denied: true })];
  const { denied } = rightsOf(events, [{ verb: "delete", resource: "deployments", namespace: "shop" }]);
  expect(denied.map(({ verb }) => verb)).toEqual(["get"]);
  expect(rightsOf(events, [{ verb: "delete", resource: "deployments", namespace: "elsewhere" }]).denied.length).toBe(2);
  expect(rightsOf(events, [{ since: "2026-01-01T23:59:59.999Z" }]).denied).toEqual([]);
  expect(rightsOf(events, [{ since: "2026-01-02T00:00:00.001Z" }]).denied.length).toBe(2);
});

test("what others did, and what every account may do, is no use of our rights", () => {
  const others = event("get", "deployments", { user: "system:serviceaccount:shop:somebody" });
  const everybody = event("create", "selfsubjectaccessreviews", { reason: 'RBAC: allowed by ClusterRoleBinding "system:basic-user"' });
  const bySuffix = event("get", "deployments", { user: "system:serviceaccount:shop:not-nexus-operator" });
  const test = event("get", "deployments", { agent: "kubectl/v1.36.3" });
  expect(rightsOf([others, everybody, bySuffix, test])).toEqual({ used: [], denied: [] });
});

test("an apply that creates uses both verbs, one that changes only patch", () => {
  const verbs = (code: number) => rightsOf([event("patch", "deployments", { code })]).used.map(({ verb }) => verb);
  expect(verbs(201).sort()).toEqual(["create", "patch"]);
  expect(verbs(200)).toEqual(["patch"]);
});

test("a cluster that ended without its summary fails the check", async () => {
  await writeFile(join(folder, "nexus-cluster-a.started"), "");
  expect(() => readRights(folder)).toThrow("1 clusters ended without a summary");
  expect(checkRights(folder, undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("a cluster's own log and its announced denials make the summary that the check reads", async () => {
  const directory = await mkdtemp(join(folder, "nexus-cluster-"));
  const log = join(directory, "audit.log");
  const events = [event("get", "deployments"), event("delete", "deployments", { denied: true }), event("list", "pods", { denied: true })];
  await writeFile(log, events.map((one) => `${JSON.stringify(one)}\n`).join(""));
  denyOnPurpose({ directory }, { verb: "delete", resource: "deployments" });
  const before = process.env.NEXUS_RIGHTS_RUN;
  process.env.NEXUS_RIGHTS_RUN = folder;
  try {
    recordRights(directory, log);
  } finally {
    if (before === undefined) delete process.env.NEXUS_RIGHTS_RUN;
    else process.env.NEXUS_RIGHTS_RUN = before;
  }
  const [cluster] = readRights(folder);
  expect(cluster?.used).toEqual([right("get", "deployments")]);
  expect(cluster?.denied.map(({ verb, resource }) => [verb, resource])).toEqual([["list", "pods"]]);
  expect(checkRights(folder, "only one tier").failed).toBe(1);
});

test("unused rights are judged only when both tiers ran whole, and the reason is said otherwise", () => {
  const ran = (passed: number, failed = 0, skipped = 0) => ({ passed, failed, skipped });
  const part = (controlPlane: ReturnType<typeof ran> | undefined, node: ReturnType<typeof ran> | undefined) =>
    partOfRights(
      new Map([...(controlPlane ? [["control-plane", controlPlane] as const] : []), ...(node ? [["node", node] as const] : [])]),
    );
  expect(part(ran(9), ran(9))).toBeUndefined();
  expect(part(ran(9), undefined)).toBe("the tier node did not run");
  expect(part(ran(0, 0, 4), ran(9))).toBe("the tier control-plane did not run");
  expect(part(ran(9, 1), ran(9))).toBe("tests of the tier control-plane failed");
  expect(part(ran(9), ran(9, 0, 1))).toBe("tests of the tier node were skipped");
});

test("the list holds no wildcard, no verb that hands out rights, and each right once", () => {
  const keys = granted().map(({ verb, group, resource }) => `${verb} ${group}/${resource}`);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
  expect(keys.filter((key) => /\*|exec|attach|portforward|proxy|escalate|bind\b|impersonate|token/.test(key))).toEqual([]);
  expect(RIGHTS.filter(({ why }) => why.length < 10)).toEqual([]);
});
