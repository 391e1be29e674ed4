// Why: the ten faults. Each is provoked as it happens to people: a process dies, a broker stops, a network swallows bytes, too many
// come at once. None reaches into a server.

import { redisCommand } from "../../support/redis/admin.ts";
import { WsClient } from "../../support/ws-client.ts";
import { again, type Fault, type Place } from "./fault.ts";

const listen = async ({ pods, tokenOf }: Place, user: string): Promise<WsClient> =>
  await WsClient.connect(`${pods[0]?.url.replace("http", "ws")}/ws?token=${await tokenOf(user)}`);

/** Of a broker that takes no writes. */
const NOT_KEPT = {
  NexusDeliveryBudgetBurnsFast: "failed publishes are deliveries that did not happen",
  NexusTriggersUnheard: "who listens to triggers is agreed on in Redis",
  NexusReceiptsDropped: "receipts are kept in Redis",
  NexusMarksLost: "how far people have read is kept in Redis",
} as const;

export const FAULTS: readonly Fault[] = [
  {
    name: "a pod is killed and stays dead",
    ...{ namespace: "pod-killed", alert: "NexusPodDown", resolvesWithinSeconds: 20 },
    companions: { NexusPodRestarted: "it is told of the pod when it comes again" },
    on: "fleet",
    fleet: { pods: 2, broker: "direct" },
    async begin({ pods: [pod] }) {
      await pod?.kill();
      return async () => {
        await pod?.start();
      };
    },
  },
  {
    name: "Redis stops",
    ...{ namespace: "redis-stopped", alert: "NexusRedisDown", resolvesWithinSeconds: 40 },
    companions: {
      ...NOT_KEPT,
      NexusPublishFailures: "publishes need the store",
      NexusRedisBreakerOpen: "the circuit before a broker that does not answer opens",
      NexusRedisCallsFail: "so every call is refused",
    },
    on: "fleet",
    fleet: { broker: "direct" },
    async begin({ redis }) {
      await redis.kill();
      return async () => await redis.restart();
    },
  },
  {
    name: "the broker is slow",
    ...{ namespace: "slow-broker", alert: "NexusRedisSlow" },
    companions: {},
    on: "fleet",
    fleet: { broker: "slow" },
    async begin({ network }) {
      network.delay(75);
      return async () => network.delay(0);
    },
  },
  {
    name: "a pod is full",
    ...{ namespace: "limit-reached", alert: "NexusConnectionLimitReached" },
    companions: {
      NexusConnectionsNearLimit: "who is full is nearly full",
      NexusHandshakeBudgetBurnsFast: "people who find no room are people who could not connect",
    },
    on: "fleet",
    fleet: { spec: { limits: { connectionsPerPod: 10, upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 } } },
    async begin(place) {
      const inside: WsClient[] = [];
      const coming = again(500, async () => {
        const client = await listen(place, `person-${inside.length}`);
        if (client.answer.status === 101) inside.push(client);
        else await client[Symbol.asyncDispose]();
      });
      return async () => {
        await coming.stop();
        await Promise.all(inside.map((client) => client[Symbol.asyncDispose]()));
      };
    },
  },
  {
    name: "everybody reconnects, again and again",
    ...{ namespace: "storm", alert: "NexusReconnectStorm" },
    companions: {},
    // The budget follows the CPU a pod may use: 10 sessions a second.
    on: "fleet",
    fleet: { spec: { pods: { resources: { limits: { cpu: "20m" } } } } },
    async begin(place) {
      const coming = again(25, async () => await (await listen(place, "restless"))[Symbol.asyncDispose]());
      return async () => await coming.stop();
    },
  },
  {
    name: "publishes fail (the broker is full)",
    ...{ namespace: "publishes-fail", alert: "NexusPublishFailures" },
    companions: NOT_KEPT,
    on: "fleet",
    fleet: { broker: "direct" },
    async begin({ redis }) {
      await redisCommand(redis, ["CONFIG", "SET", "maxmemory", 1]);
      return async () => void (await redisCommand(redis, ["CONFIG", "SET", "maxmemory", 0]));
    },
  },
  {
    name: "no push reaches a pod",
    ...{ namespace: "push-blocked", alert: "NexusConfigurationNotAcknowledged", resolvesWithinSeconds: 60 },
    companions: { NexusConfigurationOld: "the pod says the same of itself" },
    on: "fleet",
    fleet: { relayAdmin: true },
    async begin({ pods: [pod], apply, namespace }) {
      pod?.relay.blackhole();
      await apply({
        ...{ apiVersion: "nexus.dev/v1alpha1", kind: "Template", metadata: { name: "late", namespace } },
        spec: { tenantRef: { name: "acme" }, eventType: "greeting", payload: { text: "hello" } },
      });
      return async () => {
        pod?.relay.accept();
      };
    },
  },
  {
    name: "nobody leads",
    ...{ namespace: "nobody-leads", alert: "NexusOperatorHasNoLeader", resolvesWithinSeconds: 40 },
    companions: {},
    on: "operator",
    async begin(operator) {
      await operator.takeLeasesAway();
      return async () => await operator.giveLeasesBack();
    },
  },
  {
    name: "a certificate is near its end",
    ...{ namespace: "certificate-ends", alert: "NexusListenerCertificateExpires", resolvesWithinSeconds: 40 },
    companions: {},
    on: "fleet",
    fleet: { tls: true },
    async begin({ certificate }) {
      await certificate(10);
      return async () => await certificate(90);
    },
  },
  {
    name: "a tenant is over its quota",
    ...{ namespace: "over-quota", alert: "NexusTenantOverQuota" },
    companions: {},
    on: "fleet",
    fleet: {},
    async begin({ publish }) {
      const publishing = again(100, async () => await publish("narrow"));
      return async () => await publishing.stop();
    },
  },
];
