// Why: a size that is decided by an old word, or by none, is a wrong size: pods are asked together, at a pace, only while somebody
// needs it and only by who leads.
import { expect, test } from "bun:test";
import { sideBySide } from "@nexus/operator/loop/fleet/pods.ts";
import { AdminError } from "@nexus/operator/loop/push-ports.ts";
import type { ClusterTarget } from "@nexus/operator/loop/pusher.ts";
import { Loads } from "@nexus/operator/loop/scaling/loads.ts";
import { Scaling } from "@nexus/operator/loop/scaling/memory.ts";
import type { LoadPort } from "@nexus/operator/loop/scaling/ports.ts";
import type { PodObject } from "@nexus/operator/loop/views.ts";
import type { AdminStatus, ShedRequest } from "@nexus/protocol/admin.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const KEY = "prod/live";
const TARGET: ClusterTarget = { key: KEY, serverName: "admin", ca: "ca", token: "token", port: 9091 };
const pod = (name: string) => ({ uid: `uid-${name}`, name, address: `10.0.0.${name}` });
const LOAD = {
  ...{ messages_per_second: 1, loop_lag_p99_ms: 1, cpu_cores: 0.1, rss_bytes: 1, memory_limit_bytes: 0 },
  ...{ accepts_per_second: 9, sessions_opened: 5, sessions_refused: 0 },
};
const status = (sessions: number): AdminStatus => ({
  ...{ version: "1", cluster: KEY, bundle_formats: [1], digest: "", buckets: [], term: "1", sequence: 1 },
  ...{ ready: true, draining: false, sessions, uptime_seconds: 1, load: LOAD },
});

function stage() {
  const clock = new ManualClock();
  const asked: string[] = [];
  const sheds: (ShedRequest & { readonly ip: string })[] = [];
  const rounds: number[] = [];
  const down = new Set<string>();
  const state = { leads: true };
  const answer = (ip: string) => {
    if (down.has(ip)) throw new AdminError("Timeout", "no answer in time");
  };
  const admin: LoadPort = {
    async status({ ip }) {
      asked.push(ip);
      answer(ip);
      return status(Number(ip.split(".").at(-1)));
    },
    async shed({ ip }, request) {
      answer(ip);
      sheds.push({ ip, ...request });
      return { sessions: request.sessions };
    },
  };
  const leadership = { mayWrite: () => state.leads };
  const loads = new Loads({ admin, leadership, clock, intervalMs: 15_000, onRound: () => void rounds.push(clock.monotonicMs()) });
  return { clock, loads, scaling: new Scaling(clock, loads), asked, sheds, rounds, down, state };
}

test("pods are asked at once when somebody needs it and then at a pace, and not at all when nobody does", async () => {
  const { clock, loads, scaling, asked, rounds } = stage();
  loads.setTarget(TARGET);
  loads.setPods(KEY, [pod("1"), pod("2")]);
  await clock.advance(60_000);
  expect(asked).toEqual([]);
  scaling.read(KEY, "scaler", true);
  scaling.read(KEY, "rollout", true);
  await clock.advance(0);
  expect(asked.sort()).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(loads.last(KEY)?.pods.get("uid-2")).toEqual({ sessions: 2, isDraining: false, load: LOAD });
  await clock.advance(30_000);
  expect(rounds).toEqual([60_000, 75_000, 90_000]);
  expect(loads.last(KEY)?.number).toBe(3);
  scaling.read(KEY, "scaler", false);
  await clock.advance(15_000);
  expect(rounds).toHaveLength(4); // the rollout still wants to know
  scaling.read(KEY, "rollout", false);
  await clock.advance(60_000);
  expect(rounds).toHaveLength(4);
  expect(loads.last(KEY)).toBeUndefined();
});

test("who can be asked only later is asked then; who does not answer is known to be silent", async () => {
  const { clock, loads, scaling, asked, down } = stage();
  scaling.read(KEY, "scaler", true);
  await clock.advance(5_000);
  loads.setPods(KEY, [pod("1")]);
  expect(asked).toEqual([]);
  down.add("10.0.0.1");
  loads.setTarget(TARGET);
  await clock.advance(0);
  expect(loads.last(KEY)?.pods).toEqual(new Map([["uid-1", undefined]]));
});

test("nobody is asked by who does not lead, and an old round is none", async () => {
  const { clock, loads, scaling, asked, state } = stage();
  loads.setTarget(TARGET);
  loads.setPods(KEY, [pod("1")]);
  scaling.read(KEY, "scaler", true);
  await clock.advance(0);
  expect(asked).toHaveLength(1);
  state.leads = false;
  await clock.advance(37_000);
  expect(loads.last(KEY)?.number).toBe(1);
  await clock.advance(1_000);
  expect(loads.last(KEY)).toBeUndefined();
  expect(asked).toHaveLength(1);
  expect(await loads.shed(KEY, "uid-1", { sessions: 1, perSecond: 1 })).toBe(false);
  state.leads = true;
  await clock.advance(15_000);
  expect(loads.last(KEY)?.number).toBe(2);
});

test("a shed reaches its pod; one that is gone or silent is told as such", async () => {
  const { clock, loads, sheds, down } = stage();
  loads.setTarget(TARGET);
  loads.setPods(KEY, [pod("1")]);
  await clock.advance(0);
  expect(await loads.shed(KEY, "uid-1", { sessions: 10, perSecond: 2 })).toBe(true);
  expect(sheds).toEqual([{ ip: "10.0.0.1", sessions: 10, perSecond: 2 }]);
  expect(await loads.shed(KEY, "uid-9", { sessions: 10, perSecond: 2 })).toBe(false);
  down.add("10.0.0.1");
  expect(await loads.shed(KEY, "uid-1", { sessions: 10, perSecond: 2 })).toBe(false);
});

test("a pod nobody asked yet is told apart from a silent one; Redis pods and ended ones are none; leaving ones that answer count", () => {
  const labels = { "app.kubernetes.io/component": "server" };
  const ready = { podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "True" }] };
  const made = (name: string, change: object = {}, status: object = ready): PodObject => ({
    ...{ apiVersion: "v1", kind: "Pod", status },
    metadata: { name, uid: name, labels, ...change },
  });
  const said = { sessions: 1, isDraining: false, load: LOAD };
  const round = {
    number: 1,
    atMs: 0,
    pods: new Map([
      ["well", said],
      ["silent", undefined],
      ["leaving", said],
    ] as const),
  };
  const pods = [
    ...[made("well"), made("silent"), made("new"), made("starting", {}, {}), made("ended", {}, { ...ready, phase: "Failed" })],
    made("leaving", { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    made("gone", { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    made("redis", { labels: { "app.kubernetes.io/component": "redis" } }),
  ];
  const { staying, leaving } = sideBySide(pods, round);
  expect(staying.map(({ uid, isReady, isAsked, said: word }) => [uid, isReady, isAsked, word?.sessions])).toEqual([
    ["well", true, true, 1],
    ["silent", true, true, undefined],
    ["new", true, false, undefined],
    ["starting", false, false, undefined],
  ]);
  expect(leaving.map(({ uid }) => uid)).toEqual(["leaving"]);
});

test("a forgotten cluster, and a reader that stopped, ask no more", async () => {
  const { clock, loads, scaling, asked } = stage();
  loads.setTarget(TARGET);
  loads.setPods(KEY, [pod("1")]);
  scaling.read(KEY, "scaler", true);
  await clock.advance(0);
  scaling.forget(KEY);
  await clock.advance(60_000);
  expect(asked).toHaveLength(1);
  loads.setTarget(TARGET);
  loads.setPods(KEY, [pod("1")]);
  scaling.read(KEY, "scaler", true);
  await clock.advance(0);
  scaling.stop();
  await clock.advance(60_000);
  expect(asked).toHaveLength(2);
});
