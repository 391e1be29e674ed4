// Why: the check must ask for exactly what the roles grant, in the places where they grant it, and must not call an operator well
// that nobody saw at work.
import { expect, test } from "bun:test";
import { type CheckOptions, checkOperator, questionsOf } from "@nexus/operator/check.ts";
import { RIGHTS } from "@nexus/operator/kube/rights.ts";
import type { Answer, Call, Transport } from "@nexus/operator/kube/transport.ts";
import type { Clock } from "@nexus/operator/loop/clock.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";

const OPTIONS: CheckOptions = { leaseName: "blue", leaseNamespace: "ops", leaseSeconds: 2, namespaces: [] };

/** Time passes when somebody waits for it. */
function leapingClock(): Clock {
  let now = 0;
  return {
    wallMs: () => now,
    monotonicMs: () => now,
    after(delayMs, fire) {
      now += delayMs;
      queueMicrotask(fire);
      return () => undefined;
    },
  };
}

type Asked = { readonly resource: string; readonly verb: string; readonly namespace?: string };

/** An API server that serves our kinds, and answers a Lease that `renewals` says the times of. */
function apiServer({ denied = "", kinds = ["NexusCluster", "Tenant", "Template"], renewals = ["1", "2"] as (string | undefined)[] }) {
  const asked: Asked[] = [];
  const times = [...renewals];
  const answer = (call: Call): unknown => {
    if (call.path === "/api") return { items: [] };
    if (call.path === "/apis") {
      const resources = kinds.map((kind) => ({ resource: kind.toLowerCase(), responseKind: { kind }, scope: "Namespaced" }));
      return { items: [{ metadata: { name: "nexus.dev" }, versions: [{ version: "v1alpha1", resources }] }] };
    }
    if (call.path.endsWith("/leases/blue")) {
      const renewTime = times.length > 1 ? times.shift() : times[0];
      if (renewTime === undefined) throw new KubeError({ status: 404, reason: "NotFound", message: "no such Lease" });
      return { spec: { holderIdentity: "one", renewTime } };
    }
    const { spec } = call.body as { readonly spec: { readonly resourceAttributes: Asked } }; // what the check sends
    asked.push(spec.resourceAttributes);
    return { status: { allowed: spec.resourceAttributes.resource !== denied } };
  };
  const transport: Transport = {
    request: async (call): Promise<Answer> => ({ status: 200, body: answer(call) }),
    stream: async () => undefined,
  };
  return { transport, asked };
}
const problems = async (server: { readonly transport: Transport }, options = OPTIONS) =>
  (await checkOperator(server.transport, options, leapingClock())).map(({ problem }) => problem);

test("an operator that can do its work has no problem", async () => {
  expect(await problems(apiServer({}))).toEqual([undefined, undefined, undefined]);
});

test("what is missing is named: kinds, rights, a leader", async () => {
  const [kinds] = await problems(apiServer({ kinds: ["NexusCluster"] }));
  expect(kinds).toContain("not served: Tenant, Template");
  const [, rights] = await problems(apiServer({ denied: "secrets" }));
  expect(rights).toMatch(/^not granted: .*get secrets;/);
  const [, , stands] = await problems(apiServer({ renewals: ["1"] }));
  expect(stands).toBe("nobody renewed it for 4 s");
  const [, , nobody] = await problems(apiServer({ renewals: [undefined] }));
  expect(nobody).toBe("nobody holds it after 4 s");
});

test("all namespaces: asked without a namespace; listed ones: in each of them and nowhere else", async () => {
  const everywhere = apiServer({});
  await problems(everywhere);
  expect([...new Set(everywhere.asked.map(({ namespace }) => namespace))]).toEqual([undefined, "ops"]);
  const listed = apiServer({});
  await problems(listed, { ...OPTIONS, namespaces: ["shop", "pay"] });
  expect(new Set(listed.asked.map(({ namespace }) => namespace))).toEqual(new Set(["shop", "pay", "ops"]));
  expect(listed.asked.filter(({ resource }) => resource === "namespaces").map(({ verb }) => verb)).toEqual(["get", "get"]);
});

test("a right on one name is asked for by that name: the Lease's own", () => {
  const onNames = RIGHTS.filter(({ names }) => names !== undefined).flatMap((right) => questionsOf(right, OPTIONS));
  expect(onNames.filter(({ resource }) => resource === "leases").map(({ verb, name, namespace }) => [verb, name, namespace])).toEqual([
    ["get", "blue", "ops"],
    ["update", "blue", "ops"],
  ]);
});
