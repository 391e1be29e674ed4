// Why: the chart's first page says what it needs and what it may read before it says anything else. Pure: text and the table of values.
import { valuesTable } from "./render.ts";

/** `charts/nexus/README.md`. */
export const chartReadme = (): string => `<!-- Generated from scripts/generate/chart by \`npm run generate\`. Do not edit. -->

# Nexus

The operator of Nexus: you apply a \`NexusCluster\`, \`Tenant\`s and \`Template\`s, it runs the servers that notify people while
things happen. Kubernetes 1.30 or newer, Helm 3.17 or newer.

## Before you install: what it may read

**With the defaults the operator can read every Secret of the Kubernetes cluster.** NexusClusters and Tenants name Secrets in their
own namespaces (keys of tokens, API keys, passwords, certificates), and may be in any namespace. It lists and watches only Secrets
it made and those labelled \`nexus.dev/watch: "true"\`; any other is read by name when an object in the same namespace names it. If
that is too much, name the namespaces: there are Roles in these then, and no right anywhere else.

\`\`\`yaml
watch:
  scope: ListedNamespaces
  namespaces: [shop, payments]
\`\`\`

Every right with its reason: [docs/reference/rights.md](../../docs/reference/rights.md); why, and what limits them:
[docs/security.md](../../docs/security.md).

## Install

\`\`\`sh
helm install nexus charts/nexus --namespace nexus-system --create-namespace \\
  --set image.repository=REGISTRY/nexus --set image.digest=sha256:…
helm test nexus --namespace nexus-system
\`\`\`

The namespace may enforce the Restricted pod security profile. \`helm test\` runs a pod of the same image under the operator's own
ServiceAccount: the custom resources are served, every right is granted, and somebody leads.

## Upgrade, remove

\`helm upgrade\` brings CRDs and operator; no server pod moves by that: what a new operator would render otherwise is held until you
approve it ([docs/upgrade.md](../../docs/upgrade.md)). \`helm uninstall\` leaves the CRDs, and so every object and every running
server; \`kubectl delete -f crds\` deletes them all, and with them the fleets.

CRDs that \`kubectl apply -f crds\` made belong to nobody: \`helm install --take-ownership\` adopts them, or set \`crds.enabled=false\`.

## Values

A value that is not in this table is refused.

| value | default | |
| --- | --- | --- |
${valuesTable().join("\n")}
`;
