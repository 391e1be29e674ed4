// Why: a permission that is taken away ends what is live after a minute, and only that; time moves by hand.
import { expect, test } from "bun:test";
import { type Attachment, acceptTemplate, acceptTenant, type World } from "@nexus/operator/desired/acceptance.ts";
import { worldOf } from "@nexus/operator/desired/world.ts";
import { ACCESS_GRACE_MS, AccessGrace } from "@nexus/operator/loop/access-grace.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { aCluster, aTemplate, aTenant } from "../bundle/fixtures.ts";

const selector = { matchLabels: { nexus: "yes" } };
const cluster = aCluster({ allowedNamespaces: { from: "Selector", selector } });
const tenant = aTenant("acme", { clusterRef: { name: "live", namespace: "prod" } }, { namespace: "team" });
const newcomer = aTenant("fresh", { clusterRef: { name: "live", namespace: "prod" } }, { namespace: "team" });

function scene() {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const live = new Set(["uid-acme"]);
  const changes: string[] = [];
  let labels: Record<string, string> = { nexus: "yes" };
  const grace = new AccessGrace({
    clock,
    wallMs: () => clock.wallMs(),
    isLive: ({ uid }) => live.has(uid),
    onChange: ({ kind, key }: Attachment) => void changes.push(`${kind} ${key}`),
  });
  const world: World = {
    ...worldOf({ clusters: [cluster], tenants: [tenant, newcomer], templates: [], namespaceLabels: () => labels }),
    mayStay: grace.mayStay,
  };
  return {
    ...{ clock, live, changes, grace, world },
    label(next: Record<string, string>) {
      labels = next;
    },
    verdict: (one = tenant) => {
      const found = acceptTenant(one, world);
      return found.ok ? "accepted" : found.refused.reason;
    },
  };
}

test("what is live stays for a minute after its namespace lost the label, and no longer", async () => {
  const { clock, grace, label, verdict, changes } = scene();
  expect(verdict()).toBe("accepted");
  expect(grace.until("uid-acme")).toBeUndefined();
  label({});
  expect(verdict()).toBe("accepted");
  expect(grace.until("uid-acme")).toBe("2026-01-01T00:01:00Z");
  await clock.advance(ACCESS_GRACE_MS - 1);
  expect(verdict()).toBe("accepted");
  expect(changes).toEqual(["tenant team/acme"]); // its status tells when
  await clock.advance(1);
  expect(verdict()).toBe("ReferenceNotPermitted");
  expect(grace.until("uid-acme")).toBeUndefined();
  expect(changes.length).toBe(2); // to be taken out now
});

test("what is new is refused at once", () => {
  const { label, verdict } = scene();
  label({});
  expect(verdict(newcomer)).toBe("ReferenceNotPermitted");
});

test("a permission given back within the minute changes nothing, and the next revocation has a minute of its own", async () => {
  const { clock, grace, label, verdict } = scene();
  label({});
  verdict();
  await clock.advance(50_000);
  label({ nexus: "yes" });
  expect(verdict()).toBe("accepted");
  expect(grace.until("uid-acme")).toBeUndefined();
  await clock.advance(3_600_000);
  expect(verdict()).toBe("accepted");
  label({});
  expect(verdict()).toBe("accepted");
  await clock.advance(59_000);
  expect(verdict()).toBe("accepted");
  await clock.advance(1_000);
  expect(verdict()).toBe("ReferenceNotPermitted");
});

test("once it is out it is new: coming back takes a permission", async () => {
  const { clock, label, verdict, live } = scene();
  label({});
  verdict();
  live.delete("uid-acme");
  await clock.advance(ACCESS_GRACE_MS);
  expect(verdict()).toBe("ReferenceNotPermitted");
  label({ nexus: "yes" });
  expect(verdict()).toBe("accepted");
});

test("Templates have the same minute when their Tenant takes back what it allowed", async () => {
  const { clock, grace, world } = scene();
  const local = aTenant("local", { allowedNamespaces: { from: "Same" } });
  const template = aTemplate("welcome", { tenantRef: { name: "local", namespace: "prod" } }, { namespace: "team", uid: "uid-acme" });
  const here: World = { ...worldOf({ clusters: [cluster], tenants: [local], templates: [template] }), mayStay: grace.mayStay };
  expect(acceptTemplate(template, here).ok).toBe(true);
  expect(grace.until("uid-acme")).toBe("2026-01-01T00:01:00Z");
  await clock.advance(ACCESS_GRACE_MS);
  expect(acceptTemplate(template, here)).toMatchObject({ ok: false, refused: { reason: "ReferenceNotPermitted" } });
  expect(acceptTemplate(template, { ...world, tenant: here.tenant, mayStay: (_one, isPermitted) => isPermitted }).ok).toBe(false);
});

test("an id whose data are being purged is not given to anybody", () => {
  const { world } = scene();
  const purging: World = { ...world, isPurging: (clusterKey, tenantId) => `${clusterKey} ${tenantId}` === "prod/live team.acme" };
  expect(acceptTenant(tenant, purging)).toMatchObject({ ok: false, refused: { reason: "PurgePending" } });
  expect(acceptTenant(newcomer, purging).ok).toBe(true);
});
