// Why: between operator and API server lies a network, and beside the operator another one. Both fail in ways that look fine.
import { expect } from "bun:test";
import { join } from "node:path";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { type Elector, leaseApi, startElector } from "@nexus/operator/kube/lease.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { type Clock, systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { startOperator } from "@nexus/operator/main.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import { eventually } from "../../../../support/eventually.ts";
import type { FakeKubelet } from "../../../../support/fake-kubelet.ts";
import { textOf } from "../../../../support/operator.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import { startTcpProxy, type TcpProxy } from "../../../../support/tcp-proxy.ts";
import { allowLeases, type Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { Namespace, Template } = KINDS;
/** A Lease that changes hands in seconds, on a machine that is busy for seconds. */
const SHORT = { "--lease-seconds": "12", "--renew-seconds": "9", "--retry-seconds": "1" };

async function detour(place: Place): Promise<{ readonly proxy: TcpProxy; readonly server: string }> {
  const { hostname, port } = new URL(place.stage.plane.server);
  const proxy = place.keep(await startTcpProxy({ host: hostname, port: Number(port) }));
  return { proxy, server: `https://127.0.0.1:${proxy.port}` };
}

const edited = (place: Place, text: string) => template(place.ns, "hello", { payload: { text } });
const isLive = (kubelet: FakeKubelet, text: string): boolean =>
  kubelet.pods.size > 0 && [...kubelet.pods.values()].every((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes(text));

/** A fleet whose Template says `text`. */
async function fleetThatSays(place: Place, text: string): Promise<FakeKubelet> {
  const kubelet = await place.fleet();
  await place.apply(tenant(place.ns), edited(place, text));
  await place.eventually("it is live", () => isLive(kubelet, text));
  return kubelet;
}

export const CONNECTION: readonly Scenario[] = [
  {
    source: "kubernetes-client/javascript#596",
    title: "a watch whose connection is dead without a word is noticed, and no edit is lost",
    symptom: "informers stopped receiving events after some time: no error, no end",
    answer: "a watchdog: bookmarks come every minute; without any the watch is made again from where it was",
    async run(place) {
      const { proxy, server } = await detour(place);
      await place.operator({ "--watch-silence-seconds": "4" }, server);
      const kubelet = await fleetThatSays(place, "before");
      proxy.stall();
      await place.apply(edited(place, "while nobody listens"));
      await place.eventually("it is live", () => isLive(kubelet, "while nobody listens"));
    },
  },
  {
    source: "kubernetes-client/java#2330",
    title: "a network that swallows everything for a while is only an interruption",
    symptom: "after five minutes without network the informer died silently, and stayed dead when the network was back",
    answer: "every request has a deadline, new connections too; what failed is tried again with back-off",
    async run(place) {
      const { proxy, server } = await detour(place);
      const operator = await place.operator({ "--watch-silence-seconds": "4" }, server);
      const kubelet = await fleetThatSays(place, "before");
      const accepted = proxy.accepted;
      proxy.blackhole();
      await place.apply(edited(place, "while the network was gone"));
      await place.eventually("new connections are swallowed", () => proxy.accepted >= accepted + 3);
      proxy.accept();
      proxy.cut();
      await place.eventually("it is live", () => isLive(kubelet, "while the network was gone"));
      expect(await Promise.race([operator.ended, Promise.resolve("running")])).toBe("running");
    },
  },
  {
    source: "sercand/kuberesolver#28",
    title: "a ServiceAccount token that is replaced on disk is read again when the old one is refused",
    symptom: "the token was read once at the start; when it expired every request was Unauthorized until a restart",
    answer: "tokens are read every minute, and at once after a 401",
    async run(place) {
      const { plane } = place.stage;
      const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "op", namespace: place.ns } };
      const binding = {
        metadata: { name: place.ns },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "nexus-operator.nexus-system" },
        subjects: [{ kind: "ServiceAccount", name: "op", namespace: place.ns }],
      };
      const tokenOf = async () => {
        const path = `/api/v1/namespaces/${place.ns}/serviceaccounts/op/token`;
        const answer = await plane.request(path, { method: "POST", body: JSON.stringify({ spec: { expirationSeconds: 3600 } }) });
        return ((await answer.json()) as { status: { token: string } }).status.token; // authentication.k8s.io/v1 TokenRequest
      };
      await place.api.create(KINDS.ServiceAccount, account);
      await allowLeases(place.stage, place.ns, { name: "op", namespace: place.ns });
      const bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
      expect((await plane.request(bindings, { method: "POST", body: JSON.stringify(binding) })).status).toBe(201);
      const tokenFile = join(plane.directory, `${place.ns}.token`);
      await Bun.write(tokenFile, await tokenOf());
      const kubeconfig = join(plane.directory, `${place.ns}.kubeconfig`);
      const named = "contexts: [{ name: c, context: { cluster: c, user: u } }]\ncurrent-context: c\n";
      const ca = Buffer.from(plane.caPem).toString("base64");
      const text = `apiVersion: v1\nkind: Config\nclusters: [{ name: c, cluster: { server: "${plane.server}", certificate-authority-data: ${ca} } }]\n${named}users: [{ name: u, user: { tokenFile: "${tokenFile}" } }]\n`;
      await Bun.write(kubeconfig, text);
      const flags = { "--port": "0", "--local-port": "0", "--lease-namespace": place.ns, "--namespace": place.ns };
      const parsed = parseOptions({ env: {}, flags: new Map(Object.entries(flags)) });
      if (!parsed.ok) throw new Error(parsed.errors.join());
      const operator = await startOperator(parsed.options, { KUBECONFIG: kubeconfig });
      place.keep({ [Symbol.asyncDispose]: () => operator.stop() });
      const kubelet = await fleetThatSays(place, "with the first token");
      // Made anew, the account has another uid: the old token is worth nothing from one moment to the next.
      await place.remove(KINDS.ServiceAccount, "op");
      await place.api.create(KINDS.ServiceAccount, account);
      await Bun.write(tokenFile, await tokenOf());
      await place.apply(edited(place, "with the second token"));
      await place.eventually("it is live", () => isLive(kubelet, "with the second token"));
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      expect(await Promise.race([operator.ended, Promise.resolve("running")])).toBe("running");
    },
  },
  {
    source: "kubernetes/kubernetes#23731",
    title: "an old leader that wakes up writes nothing any more",
    symptom: "split brain: a leader that had lost the lease still believed it led, because nothing had told it",
    answer: "no write starts after the fence closed, pods refuse older terms, and the process ends",
    async run(place) {
      const old = await place.process(SHORT);
      const kubelet = await fleetThatSays(place, "of the old leader");
      await place.quiet(6_000);
      old.signal("SIGSTOP");
      await place.operator(SHORT);
      await place.apply(edited(place, "of the next leader"));
      await place.eventually("the next one pushes", () => isLive(kubelet, "of the next leader"));
      const before = (await place.quiet(6_000)).length;
      old.signal("SIGCONT");
      expect(await old.exited).toBe(1);
      expect((await place.quiet()).slice(before).map(textOf)).toEqual([]);
      expect(isLive(kubelet, "of the next leader")).toBe(true);
    },
  },
  {
    source: "cilium/cilium#42920",
    title: "a leader that is cut off has stopped before another begins",
    symptom: "several operators acted as leader at once: stopping took longer than the lease, and addresses were given out twice",
    answer: "writes end inside the renewal deadline; losing the lead is final: the process ends",
    async run(place) {
      const { proxy, server } = await detour(place);
      const old = await place.operator(SHORT, server);
      const kubelet = await fleetThatSays(place, "before");
      await place.quiet(6_000);
      proxy.hold();
      const endedMs = old.ended.then(() => performance.now());
      await place.operator(SHORT);
      await place.apply(edited(place, "of the other"));
      await place.eventually("the other one leads", () => isLive(kubelet, "of the other"));
      const ledMs = performance.now();
      expect(await endedMs).toBeLessThan(ledMs);
      const before = (await place.quiet(6_000)).length;
      proxy.release();
      expect(await old.ended).toBe(1);
      expect((await place.quiet()).slice(before).map(textOf)).toEqual([]);
    },
  },
  {
    source: "kubernetes/kubernetes#125761",
    title: "clocks that differ by an hour, and one that jumps, make no second leader",
    symptom: "the time was set forward by an hour: the standby took the lease over, and two schedulers were active",
    answer: "a Lease is judged by when its record was seen to change, on the monotonic clock, never by the times in it",
    async run(place) {
      const access = await kubeconfigAccess(place.stage.plane.adminKubeconfig);
      const times = { leaseMs: 6_000, renewMs: 5_000, retryMs: 500 };
      let jumpMs = 0;
      const wall = (offsetMs: () => number): Clock => ({
        monotonicMs: () => systemClock.monotonicMs(),
        after: (delayMs, fire) => systemClock.after(delayMs, fire),
        wallMs: () => systemClock.wallMs() + offsetMs(),
      });
      const compete = (identity: string, clock: Clock): Elector => {
        const api = leaseApi(createTransport({ access, userAgent: "nexus-scenario" }), times);
        const elector = startElector({ api, namespace: place.ns, name: "skewed", identity, times, clock });
        place.keep({ [Symbol.asyncDispose]: () => elector.release() });
        return elector;
      };
      const leader = compete(
        "an hour behind",
        wall(() => -3_600_000 + jumpMs),
      );
      expect(await leader.acquired).toBe(true);
      const standby = compete(
        "an hour ahead",
        wall(() => 3_600_000),
      );
      const begunMs = performance.now();
      await eventually(
        "three lease times passed",
        () => {
          if (performance.now() - begunMs > 8_000) jumpMs = 7_200_000;
          expect([leader.leadership.mayWrite(), standby.leadership.mayWrite()]).toEqual([true, false]);
          return performance.now() - begunMs > 18_000;
        },
        { timeoutMs: 40_000, intervalMs: 50 },
      );
    },
  },
  {
    source: "rabbitmq/cluster-operator#79",
    title: "a namespace with the operator in it goes away",
    symptom: "deleting the operator's namespace took the operator first; nobody was left to remove the finalizers",
    answer: "nothing waits for the operator; without its Lease it ends",
    async run(place) {
      const operator = await place.operator();
      await fleetThatSays(place, "before");
      await place.remove(Namespace, place.ns);
      const isGone = async () => (await place.get(Namespace, place.ns)) === undefined;
      await eventually("the namespace is gone", isGone, { timeoutMs: 110_000, intervalMs: 200 });
      expect(await operator.ended).toBe(1);
    },
  },
  {
    source: "ray-project/ray#21684",
    title: "a namespace goes away while no operator runs at all",
    symptom: "custom resources stayed, and the namespace with them, because the operator that owned their finalizer was gone",
    answer: "garbage collection follows owner references; the operator is not needed to delete anything",
    async run(place) {
      const operator = await place.operator();
      await fleetThatSays(place, "before");
      await operator.stop();
      await place.apply(cluster(place.ns, "never-seen"));
      await place.remove(Namespace, place.ns);
      const isGone = async () => (await place.get(Namespace, place.ns)) === undefined;
      await eventually("the namespace is gone", isGone, { timeoutMs: 110_000, intervalMs: 200 });
    },
  },
];
