// Why: terms come from the API server's own versions and are judged by servers that never speak to it. Only a real Lease on a
// real API server shows that they grow when they must: at a change of leader, and when somebody deletes the Lease.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import { type Elector, leaseApi, startElector } from "@nexus/operator/kube/lease.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import type { AdminPort } from "@nexus/operator/loop/push-ports.ts";
import { createPusher, type PodView, type Pusher } from "@nexus/operator/loop/pusher.ts";
import { CLUSTER, entryOf, keyOf } from "../../operator/push/stage.ts";
import { type ControlPlane, startControlPlane } from "../../support/cluster/control-plane.ts";
import { eventually } from "../../support/eventually.ts";
import { adminAuthority, startFakePod } from "../../support/fake-pod.ts";
import { startRealPod } from "../../support/real-pod.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

setDefaultTimeout(120_000);

const TIMES = { leaseMs: 3000, renewMs: 2000, retryMs: 200 };
let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ controllerManager: false });
  await plane.kubectl(["create", "namespace", "push"]);
});
afterAll(async () => await plane?.[Symbol.asyncDispose]());

async function compete(name: string, identity: string, server?: string): Promise<Elector> {
  const access = await kubeconfigAccess(plane.adminKubeconfig);
  const transport = createTransport({ access: server ? { ...access, server } : access, userAgent: "nexus-test" });
  return startElector({ api: leaseApi(transport, TIMES), namespace: "push", name, identity, times: TIMES });
}

/** Lets requests wait at the door, as those of a stopped process do: they were allowed, and have not left yet. */
class Door implements AdminPort {
  readonly #admin: AdminPort;
  #opened: PromiseWithResolvers<void> | undefined;
  /** Terms of the pushes that wait or waited. */
  readonly held: string[] = [];

  constructor(admin: AdminPort) {
    this.#admin = admin;
  }

  shut(): void {
    this.#opened = Promise.withResolvers<void>();
  }

  open(): void {
    this.#opened?.resolve();
    this.#opened = undefined;
  }

  status: AdminPort["status"] = (...call) => this.#admin.status(...call);
  push: AdminPort["push"] = async (target, request, call) => {
    if (this.#opened) {
      this.held.push(request.term);
      await this.#opened.promise;
    }
    return await this.#admin.push(target, request, call);
  };
}

type Operator = {
  readonly pusher: Pusher;
  readonly door: Door;
  readonly logged: { readonly event: string; readonly fields: Record<string, unknown> }[];
};

/** A server as it is built and a fake one, and operators that know both. */
async function openFleet() {
  const { authority, access } = await adminAuthority(CLUSTER);
  const certificate = await authority.issue({ commonName: "admin", hosts: [access.serverName] });
  const real = await startRealPod({ certificate, token: access.token, cluster: CLUSTER, ip: "127.9.3.1" });
  const fake = await startFakePod({ authority, token: access.token, cluster: CLUSTER, ip: "127.9.3.2", port: real.port });
  const views: PodView[] = [real, fake].map(({ ip }, index) => ({
    uid: `pod-${index}`,
    name: `server-${index}`,
    address: ip,
    ready: true,
  }));
  const operators: Operator[] = [];
  return {
    ...{ real, fake },
    terms: () => [real.server.live.fence().term, fake.fence().term],
    digests: () => [real.server.live.digest(), fake.digest()],
    operator({ leadership }: Elector): Operator {
      const door = new Door(createAdminClient({ userAgent: "nexus-test" }));
      const logged: Operator["logged"] = [];
      const pusher = createPusher({
        ...{ admin: door, leadership, clock: systemClock, random: Math.random },
        onChange: () => undefined,
        onLog: (event, fields) => logged.push({ event, fields }),
      });
      pusher.setTarget({ key: CLUSTER, serverName: access.serverName, ca: access.caPem, token: access.token, port: real.port });
      pusher.setPods(CLUSTER, views);
      const operator = { pusher, door, logged };
      operators.push(operator);
      return operator;
    },
    async [Symbol.asyncDispose]() {
      for (const { pusher, door } of operators) {
        door.open();
        await pusher.stop();
      }
      await fake[Symbol.asyncDispose]();
      await real[Symbol.asyncDispose]();
    },
  };
}

const isAcknowledged = (pusher: Pusher, generation: number) => pusher.acknowledged(CLUSTER, keyOf("a"), "uid-a", generation).kind === "all";

test("what a stopped leader had on its way is refused by servers that heard the new one", async () => {
  await using fleet = await openFleet();
  const { hostname, port } = new URL(plane.server);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const a = await compete("stopped", "a", `https://127.0.0.1:${proxy.port}`);
  expect(await a.acquired).toBe(true);
  const old = fleet.operator(a);
  old.pusher.setEntries(CLUSTER, [entryOf("a", "first")]);
  await eventually("both have it", () => isAcknowledged(old.pusher, 1));
  const oldTerm = a.leadership.term();
  const b = await compete("stopped", "b");

  old.door.shut();
  old.pusher.setEntries(CLUSTER, [entryOf("a", "on its way when the process stopped", 2)]);
  await eventually("a push to each waits at the door", () => old.door.held.length === 2);
  proxy.blackhole();
  expect(await b.acquired).toBe(true);
  expect((b.leadership.term() ?? 0n) > (oldTerm ?? 0n)).toBe(true);
  const next = fleet.operator(b);
  next.pusher.setEntries(CLUSTER, [entryOf("a", "by the new leader", 2)]);
  await eventually("both follow the new leader", () => isAcknowledged(next.pusher, 2));
  const digests = fleet.digests();

  old.door.open();
  await eventually("both refused it", () => old.logged.filter(({ event }) => event === "push.stale").length === 2);
  expect(old.logged.filter(({ event }) => event === "push.stale").map(({ fields }) => fields.raised)).toEqual([false, false]);
  expect(old.door.held).toEqual([String(oldTerm), String(oldTerm)]);
  expect(fleet.digests()).toEqual(digests);
  expect(fleet.terms()).toEqual([String(b.leadership.term()), String(b.leadership.term())]);
  expect(fleet.real.server.live.template("acme", "a")).toMatchObject({ payload: { text: "by the new leader" } });
  expect(a.leadership.mayWrite()).toBe(false);
  // It starts nothing any more: the new leader's edits arrive, its own stay at home.
  const answered = fleet.fake.received.filter(({ push }) => push.term === String(oldTerm)).length;
  old.pusher.setEntries(CLUSTER, [entryOf("a", "never sent", 9)]);
  next.pusher.setEntries(CLUSTER, [entryOf("a", "an edit later", 3)]);
  await eventually("both follow on", () => isAcknowledged(next.pusher, 3));
  expect(fleet.fake.received.filter(({ push }) => push.term === String(oldTerm)).length).toBe(answered);
  await Promise.all([a.release(), b.release()]);
});

test("servers accept again after the Lease was deleted, without a reset", async () => {
  await using fleet = await openFleet();
  const a = await compete("deleted", "a");
  expect(await a.acquired).toBe(true);
  const { pusher, logged } = fleet.operator(a);
  pusher.setEntries(CLUSTER, [entryOf("a", "before")]);
  await eventually("both have it", () => isAcknowledged(pusher, 1));
  const before = a.leadership.term() ?? 0n;
  expect((await plane.kubectl(["-n", "push", "delete", "lease", "deleted"])).code).toBe(0);
  await eventually("the Lease was made anew, with a higher term", () => (a.leadership.term() ?? 0n) > before);
  pusher.setEntries(CLUSTER, [entryOf("a", "after", 2)]);
  await eventually("both have the edit", () => isAcknowledged(pusher, 2));
  expect(fleet.terms()).toEqual([String(a.leadership.term()), String(a.leadership.term())]);

  // Deleted while nobody led: who leads next is heard as well.
  await a.release();
  await plane.kubectl(["-n", "push", "delete", "lease", "deleted"]);
  const b = await compete("deleted", "b");
  expect(await b.acquired).toBe(true);
  const next = fleet.operator(b);
  next.pusher.setEntries(CLUSTER, [entryOf("a", "by another", 3)]);
  await eventually("both have it", () => isAcknowledged(next.pusher, 3));
  expect(fleet.terms()).toEqual([String(b.leadership.term()), String(b.leadership.term())]);
  expect([...logged, ...next.logged].filter(({ event }) => event === "push.reset" || event === "push.stale")).toEqual([]);
  expect(fleet.fake.received.some(({ push }) => push.reset)).toBe(false);
  await b.release();
});
