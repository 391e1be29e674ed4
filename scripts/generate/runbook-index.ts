// Why: whoever is woken knows the alert's name, or only what people complain about; this is the page for both. Severities are the
// rules' own, lines the pages' own. It must never list an alert that does not exist, or forget one.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import { type Alert, isAlert, type Severity } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { readPage } from "../check/monitoring/page.ts";
import { SAMPLES } from "../check/monitoring/samples.ts";

const FOLDER = "docs/runbooks";
export const RUNBOOK_INDEX = `${FOLDER}/README.md`;

/** What somebody notices before any alert, and which alerts are about it, the likeliest first. A test wants every alert here. */
export const SYMPTOMS: readonly { readonly what: string; readonly alerts: readonly string[] }[] = [
  {
    what: "Nobody can connect, or the address does not answer",
    alerts: ["NexusFleetDown", "NexusClusterUnavailable", "NexusFleetUnseen", "NexusListenerCertificateExpiresSoon", "NexusPodsNotReady"],
  },
  {
    what: "Some people cannot connect, or need several tries",
    alerts: [
      ...["NexusHandshakeBudgetBurnsFast", "NexusHandshakeBudgetBurns", "NexusHandshakeBudgetBurnsSlowly", "NexusConnectionLimitReached"],
      ...["NexusConnectionsNearLimit", "NexusKeySetUnavailable", "NexusTenantOverQuota", "NexusTenantNearSessionLimit"],
    ],
  },
  {
    what: "People are cut off and come back",
    alerts: [
      ...["NexusReconnectStorm", "NexusPodDown", "NexusPodRestarted", "NexusPodRestartsOften", "NexusProcessRestarts"],
      ...["NexusMemoryNearLimit", "NexusDrainTakesLong"],
    ],
  },
  {
    what: "Publishing answers 5xx",
    alerts: [
      ...["NexusPublishFailures", "NexusRedisDown", "NexusRedisBreakerOpen", "NexusRedisCallsFail", "NexusPostgresDown"],
      ...["NexusDeliveryBudgetBurnsFast", "NexusDeliveryBudgetBurns", "NexusDeliveryBudgetBurnsSlowly"],
    ],
  },
  {
    what: "Publishing answers 429",
    alerts: ["NexusTenantOverQuota"],
  },
  {
    what: "More gets through than a limit allows",
    alerts: ["NexusRatesNotExchanged"],
  },
  {
    what: "Notifications come late",
    alerts: [
      ...[
        "NexusLatencyBudgetBurnsFast",
        "NexusLatencyBudgetBurns",
        "NexusLatencyBudgetBurnsSlowly",
        "NexusEventLoopLags",
        "NexusRedisSlow",
      ],
      ...["NexusRedisLag", "NexusPostgresSlow", "NexusPostgresInboxesUnannounced", "NexusSendQueuesGrow", "NexusLoadAboveTarget"],
    ],
  },
  {
    what: "Notifications are missing, or come twice",
    alerts: [
      ...[
        "NexusPodsDegraded",
        "NexusRedisLostEntries",
        "NexusSlowConsumers",
        "NexusResumesFail",
        "NexusRedisSubscriptionsDie",
        "NexusRedisReplicasMissing",
      ],
      ...["NexusRedisLayoutConflict", "NexusTriggersFail", "NexusTriggersUnheard", "NexusMarksLost", "NexusReceiptsDropped"],
    ],
  },
  {
    what: "A change does not take effect, or not everywhere",
    alerts: [
      ...["NexusConfigurationNotAcknowledged", "NexusConfigurationOld", "NexusConfigurationDiffers", "NexusConfigurationNotSynced"],
      ...["NexusConfigurationRejected", "NexusConfigurationSlow", "NexusClusterNotReady", "NexusClusterStalled", "NexusClusterDrift"],
      ...["NexusObjectsNotReady", "NexusUpgradePending", "NexusOperatorHasNoLeader", "NexusOperatorCrdsAreOld", "NexusPurgeFails"],
      ...["NexusClusterNotReconciled", "NexusBootCopyOld", "NexusBootCopyFills"],
    ],
  },
  {
    what: "The size is wrong, or a rollout does not go on",
    alerts: [
      "NexusAutoscalingInactive",
      "NexusAutoscalingAtMaximum",
      "NexusClusterBelowSize",
      "NexusRolloutPaused",
      "NexusLoadAboveTarget",
    ],
  },
  {
    what: "A certificate ends",
    alerts: [
      ...["NexusListenerCertificateExpires", "NexusListenerCertificateExpiresSoon", "NexusListenerCertificateNotRead"],
      ...["NexusAdminCertificateExpires", "NexusCertificateNotRenewed", "NexusCertificateUnreadable"],
    ],
  },
  {
    what: "The operator is in trouble",
    alerts: [
      ...[
        "NexusOperatorDown",
        "NexusOperatorHasNoLeader",
        "NexusOperatorTwoLeaders",
        "NexusOperatorRestartsOften",
        "NexusOperatorPassesFail",
      ],
      ...["NexusOperatorPanics", "NexusOperatorPassHangs", "NexusOperatorQueueStands", "NexusOperatorQueueLong", "NexusOperatorApiErrors"],
      ...["NexusOperatorWatchSilent", "NexusOperatorClustersHeldBack", "NexusOperatorWritesChangeNothing"],
    ],
  },
  {
    what: "Logs, metrics or traces are not as they should be",
    alerts: [
      ...["NexusLogsErrors", "NexusOperatorLogsErrors", "NexusClusterUnmonitored", "NexusFleetUnseen", "NexusClustersWithoutSeries"],
      "NexusTracesLost",
    ],
  },
];

const SEVERITIES: readonly { readonly severity: Severity; readonly means: string }[] = [
  { severity: "critical", means: "Somebody gets up." },
  { severity: "warning", means: "In working hours, today." },
  { severity: "info", means: "Shown, told to nobody." },
];

/** Every alert there is, one of each name, by name. */
export function allAlerts(): readonly Alert[] {
  const groups = [...SAMPLES.flatMap(clusterRules), ...operatorRules({ job: "nexus-system/nexus" })];
  const byName = new Map(
    groups
      .flatMap(({ rules }) => rules)
      .filter(isAlert)
      .map((alert) => [alert.name, alert]),
  );
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `root`: the repository, whose pages are read. */
export function runbookIndex(root: string = join(import.meta.dir, "../..")): string {
  const link = (name: string) => `[${name}](${name}.md)`;
  const row = ({ name }: Alert) => {
    const path = join(root, FOLDER, `${name}.md`);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const [promise = ""] = text.match(/^Fires within: (.+)$/m)?.slice(1) ?? [];
    return `| ${link(name)} | ${readPage(text).line ?? ""} | ${promise} |`;
  };
  const alerts = allAlerts();
  return `<!-- Written by \`npm run generate\` from the rules and the pages beside it. Do not edit. -->
# Runbooks

A page for each alert: what it says, how soon it comes, whom it hurts, where to look, what to do. How the rules come into a
Prometheus, and how to route and silence them, is in [monitoring.md](../monitoring.md).

In expressions and commands \`NAMESPACE\`, \`CLUSTER\`, \`POD\` and \`TENANT\` stand for what the alert's labels \`namespace\` (or
\`nexus_namespace\`), \`nexus_cluster\`, \`pod\` and \`tenant\` say; \`nexus-system\` is where the operator was [installed](../install.md).
\`kubectl nexus\` is [our plugin](../cli.md#as-a-kubectl-plugin).

## When you do not know where to begin

\`\`\`sh
kubectl nexus status -A                                    # what is not Ready
kubectl nexus doctor -A                                    # what the installation lacks, with what mends it
kubectl nexus explain nexuscluster/CLUSTER -n NAMESPACE    # the first broken link of one fleet
\`\`\`

Several alerts at once: begin with the store (Redis, PostgreSQL), then pods, then budgets. A budget that burns says that people are hurt;
the alert beside it says by what.

\`redis-cli\` and \`psql "$URL"\` stand for your way to the store. A managed Redis is asked in its pod, line by line, with the password it
has there (the image may call the program \`valkey-cli\`):

\`\`\`sh
kubectl exec -i -n NAMESPACE CLUSTER-redis-0 -- sh -c \\
  '{ printf "AUTH %s\\n" "$(cat /etc/nexus/redis-users/password)"; cat; } | $(command -v valkey-cli || command -v redis-cli)' <<'END'
INFO memory
SLOWLOG GET 10
END
\`\`\`

## By what people notice

| | look at |
| --- | --- |
${SYMPTOMS.map((symptom) => `| ${symptom.what} | ${symptom.alerts.map(link).join(", ")} |`).join("\n")}

${SEVERITIES.map(
  ({ severity, means }) => `## ${severity[0]?.toUpperCase()}${severity.slice(1)}

${means}

| alert | says | fires within |
| --- | --- | --- |
${alerts
  .filter((alert) => alert.severity === severity)
  .map(row)
  .join("\n")}
`,
).join("\n")}`;
}
