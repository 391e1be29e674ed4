// Why: names, addresses and certificates decide whether people get in at all; each rule about them is a line here.
import { describe, expect, test } from "bun:test";
import { certificateHosts, publicHosts } from "@nexus/operator/desired/exposure/hosts.ts";
import { ingress } from "@nexus/operator/desired/exposure/ingress.ts";
import { service } from "@nexus/operator/desired/exposure/service.ts";
import { serverPolicy } from "@nexus/operator/desired/network/server-policy.ts";
import { holdsPods, type ListenerTlsFound } from "@nexus/operator/loop/fleet/listener-tls.ts";
import type { DeploymentObject } from "@nexus/operator/loop/views.ts";
import { endpoints, routeRefusal } from "@nexus/operator/status/exposure.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "./fixtures.ts";

describe("names", () => {
  const dns = { "external-dns.alpha.kubernetes.io/hostname": "a.example.com, b.example.com" };
  const everything = aCluster({
    exposure: {
      service: { annotations: dns },
      ingress: { host: "push.example.com" },
      gateway: { parentRefs: [{ name: "public" }], hostnames: ["push.example.com", "*.example.org"] },
    },
  });

  test("from outside are the Ingress's, the Gateway's and those of external-dns, each once", () => {
    expect(publicHosts(everything)).toEqual(["push.example.com", "*.example.org", "a.example.com", "b.example.com"]);
  });

  test("a certificate carries the public ones alone, because a public issuer refuses the rest", () => {
    expect(certificateHosts(everything)).toEqual(["*.example.org", "a.example.com", "b.example.com", "push.example.com"]);
  });

  test("without any it carries the Service's", () => {
    const inside = ["live-server", "live-server.prod", "live-server.prod.svc", "live-server.prod.svc.cluster.local"];
    expect(certificateHosts(aCluster())).toEqual(inside);
  });
});

describe("endpoints", () => {
  const nowhere = { ingress: undefined, gatewayHosts: [], service: undefined, serviceHost: "s.prod.svc", port: 8081, isTls: false };
  const balancer = (...ingresses: readonly { ip?: string; hostname?: string }[]) => ({
    metadata: { name: "s" },
    status: { loadBalancer: { ingress: ingresses } },
  });

  test.each([
    ["the Service's own name, always", {}, ["http://s.prod.svc:8081"]],
    ["encrypted when the pods are", { isTls: true }, ["https://s.prod.svc:8081"]],
    ["an Ingress by its own TLS, not the pods'", { isTls: true, ingress: { host: "h" } }, ["http://h", "https://s.prod.svc:8081"]],
    ["an Ingress with TLS", { ingress: { host: "h", tls: {} } }, ["https://h", "http://s.prod.svc:8081"]],
    ["hosts of a Gateway without a scheme, patterns left out", { gatewayHosts: ["g", "*.g"] }, ["g", "http://s.prod.svc:8081"]],
    [
      "addresses of a balancer",
      { service: balancer({ ip: "2001:db8::1" }, { hostname: "lb" }) },
      ["http://[2001:db8::1]:8081", "http://lb:8081", "http://s.prod.svc:8081"],
    ],
  ])("%s", (_what, change, expected) => {
    expect(endpoints({ ...nowhere, ...change })).toEqual(expected);
  });

  test("are never more than the status holds, and the Service's is always among them", () => {
    const many = Array.from({ length: 40 }, (_, index) => `h${index}`);
    const found = endpoints({ ...nowhere, gatewayHosts: many });
    expect([found.length, found.at(-1)]).toEqual([16, "http://s.prod.svc:8081"]);
  });
});

describe("a route", () => {
  const route = (...conditions: readonly { type: string; status: string; reason?: string; message?: string }[]) => ({
    metadata: { name: "r" },
    status: { parents: [{ parentRef: { name: "public" }, conditions }] },
  });
  test.each([
    ["nobody has judged", undefined, undefined],
    ["that is taken", route({ type: "Accepted", status: "True" }, { type: "ResolvedRefs", status: "True" }), undefined],
    ["not judged yet", route({ type: "Accepted", status: "Unknown" }), undefined],
    [
      "that is refused",
      route({ type: "Accepted", status: "False", reason: "NotAllowed", message: "no" }),
      "Gateway public: NotAllowed: no",
    ],
    [
      "without a backend",
      route({ type: "Accepted", status: "True" }, { type: "ResolvedRefs", status: "False" }),
      "Gateway public: ResolvedRefs:",
    ],
  ])("%s", (_what, seen, message) => {
    expect(routeRefusal(seen)?.message).toBe(message as string); // undefined where nothing is said
  });
});

describe("pods and a certificate that is not there", () => {
  const missing: ListenerTlsFound = { reason: "SecretNotFound", message: "missing", isProgress: false, canServe: false };
  const mounting = (secretName?: string): DeploymentObject => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "live-server" },
    spec: { template: { spec: { volumes: secretName ? [{ name: "listener-tls", secret: { secretName } }] : [] } } },
  });
  const cluster = aCluster({ tls: { secretRef: { name: "public-tls" } } });
  test.each([
    ["a certificate that is there holds nothing", undefined, mounting(), false],
    ["an expired one serves as well as it did", { ...missing, canServe: true }, mounting(), false],
    ["a new fleet waits", missing, undefined, true],
    ["a plain fleet stays plain", missing, mounting(), true],
    ["a fleet with another certificate keeps it", missing, mounting("old-tls"), true],
    ["a fleet that mounts it already is rolled as ever", missing, mounting("public-tls"), false],
  ])("%s", (_what, found, live, held) => {
    expect(holdsPods(cluster, found, live)).toBe(held);
  });
});

test("nginx is told to speak TLS to pods that do, and never to refuse a body the servers would take", () => {
  const asked = aCluster({ tls: { secretRef: { name: "t" } }, limits: { batchBytes: 4_194_304 }, exposure: { ingress: { host: "h" } } });
  const { annotations } = ingress(asked, CONTEXT, { host: "h" }).metadata;
  expect(annotations).toMatchObject({
    "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
    "nginx.ingress.kubernetes.io/proxy-body-size": "4194304",
  });
});

test("a Service says what its pods speak and never a node port", () => {
  expect(service(aCluster(), CONTEXT).spec.ports).toEqual([{ name: "http", port: 8081, targetPort: "http", protocol: "TCP" }]);
  const encrypted = service(aCluster({ tls: { secretRef: { name: "t" } }, exposure: { service: { type: "NodePort" } } }), CONTEXT);
  expect(encrypted.spec.ports).toEqual([{ name: "https", appProtocol: "https", port: 8081, targetPort: "http", protocol: "TCP" }]);
});

test("an operator outside a pod cannot be named by a policy: the admin port is then open behind its certificate and token", () => {
  const { operatorPods: _none, ...outside } = CONTEXT;
  const ruleOf = (context: typeof CONTEXT) => serverPolicy(aCluster(), context).spec.ingress.find(({ ports }) => ports[0]?.port === 9091);
  expect(ruleOf(outside)?.from).toBeUndefined();
  expect(ruleOf(CONTEXT)?.from).toHaveLength(1);
});
