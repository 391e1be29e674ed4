// Why: rows about those who write beside us: another controller on the same field, tracking labels of GitOps tools, a second manager.
// What they own is left to them or told of; it must never be fought over without end.
import { expect } from "bun:test";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { textOf } from "../../../../support/operator.ts";
import { template, tenant } from "../../../../support/resources.ts";
import type { Scenario } from "../scenario.ts";
import { at } from "./drift.ts";

const { Deployment, NexusCluster, PodDisruptionBudget, ServiceAccount, Template } = KINDS;

export const CONTEST: readonly Scenario[] = [
  {
    source: "keycloak/keycloak-operator#549",
    title: "somebody else's autoscaler on our Deployment is not fought for ever",
    symptom: "with an HPA on the StatefulSet the operator set the number of replicas back; people asked for a switch to stop that",
    answer: "put back three times in ten minutes, then FieldContested says what to do; spec.autoscaling leaves the size to a scaler",
    async run(place) {
      await place.fleet();
      const scale = async (replicas: number) => {
        await place.api.setScale(
          { kind: Deployment, namespace: place.ns, name: "live-server" },
          { replicas },
          { manager: "kube-controller-manager" },
        );
      };
      const size = async () => at((await place.get(Deployment, "live-server")) ?? {}, "spec.replicas");
      const deadlineMs = performance.now() + 60_000;
      for (let round = 0; performance.now() < deadlineMs; round++) {
        if ((await place.condition(NexusCluster, "live", "Ready"))?.reason === "FieldContested") break;
        await scale(2 + (round % 2));
        await place.eventually("it is put back, or given up", async () => {
          return (await size()) === 1 || (await place.condition(NexusCluster, "live", "Ready"))?.reason === "FieldContested";
        });
      }
      const contested = await place.until(NexusCluster, "live", { type: "Ready", status: "False", reason: "FieldContested" });
      expect(contested.message).toContain("spec.replicas");
      const scales = place.writes().filter(({ objectRef }) => objectRef?.subresource === "scale").length;
      await scale(4);
      await place.quiet(4_000);
      expect(place.writes().filter(({ objectRef }) => objectRef?.subresource === "scale").length).toBe(scales);
      expect(await size()).toBe(4);
    },
  },
  {
    source: "fluxcd/flux2#2386",
    title: "two controllers that want the same field do not write it in turns for ever",
    symptom: "Flux and the controller of the object reverted each other's annotations in every pass",
    answer: "the same path changed three times in ten minutes is FieldContested: told, and tried again every ten minutes",
    async run(place) {
      await place.fleet();
      const theirs = {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { name: "live-server", namespace: place.ns },
        spec: { maxUnavailable: 1 },
      };
      const deadlineMs = performance.now() + 60_000;
      while (performance.now() < deadlineMs && (await place.condition(NexusCluster, "live", "Ready"))?.reason !== "FieldContested") {
        await place.api.apply(PodDisruptionBudget, theirs as never, { manager: "kustomize-controller", force: true });
        await place.eventually("it is put back, or given up", async () => {
          const live = await place.get(PodDisruptionBudget, "live-server");
          return (
            at(live ?? {}, "spec.maxUnavailable") === "10%" ||
            (await place.condition(NexusCluster, "live", "Ready"))?.reason === "FieldContested"
          );
        });
      }
      const contested = await place.until(NexusCluster, "live", { type: "Ready", status: "False", reason: "FieldContested" });
      expect(contested.message).toContain("spec.maxUnavailable (kustomize-controller)");
      expect((await place.quiet()).filter(({ objectRef }) => objectRef?.resource === "poddisruptionbudgets").length).toBeLessThan(6);
    },
  },
  {
    source: "openshift/cluster-capi-operator#306",
    title: "somebody who writes into our status does not make us write in a loop",
    symptom: "two writers of one status: every update failed on the other's version, in a hot loop",
    answer: "the status has its own field manager and is applied, not updated: what others put beside it is theirs",
    async run(place) {
      await place.fleet();
      const before = (await place.quiet()).length;
      const condition = {
        type: "Foreign",
        status: "True",
        reason: "Told",
        message: "by others",
        lastTransitionTime: "2026-01-01T00:00:00Z",
        observedGeneration: 1,
      };
      for (let round = 0; round < 5; round++)
        await place.api.apply(
          NexusCluster,
          {
            apiVersion: "nexus.dev/v1alpha1",
            kind: "NexusCluster",
            metadata: { name: "live", namespace: place.ns },
            status: { conditions: [{ ...condition, message: `round ${round}` }] },
          } as never,
          { manager: "somebody", force: true, subresource: "status" },
        );
      await place.quiet(3_000);
      expect(place.writes().length - before).toBeLessThan(3);
      expect((await place.condition(NexusCluster, "live", "Foreign"))?.message).toBe("round 4");
      await place.until(NexusCluster, "live", { type: "Ready", status: "True" });
    },
  },
  {
    source: "operator-framework/operator-lifecycle-manager#1816",
    title: "our own writes do not wake us: a fleet at rest is quiet",
    symptom: "the reconciler was woken by its own update, and hot-looped until the same rendering came out twice by luck",
    answer: "renderings are deterministic, statuses written when they differ, and a change of status alone wakes nobody",
    async run(place) {
      await place.fleet();
      await place.apply(tenant(place.ns), template(place.ns));
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      const before = (await place.quiet(7_000)).length;
      await place.quiet(5_000);
      expect(place.writes().slice(before).map(textOf)).toEqual([]);
    },
  },
  {
    source: "VictoriaMetrics/operator#2113",
    title: "the same event told again is a count, not another event",
    symptom: "several ReconcileEvents per second and object",
    answer: "repeats are one Event with a series; each object has a budget; nothing is told about a pass without news",
    async run(place) {
      await place.fleet();
      for (let round = 0; round < 12; round++) {
        await place.patch(ServiceAccount, "live-server", { automountServiceAccountToken: true }, "kubectl-edit");
        await place.patch(PodDisruptionBudget, "live-server", { spec: { maxUnavailable: round % 3 } }, `tool-${round}`);
      }
      await place.quiet();
      expect((await place.events("live")).length).toBeLessThanOrEqual(12);
      expect((await place.events("live")).some(({ reason }) => reason === "Drift")).toBe(true);
    },
  },
];
