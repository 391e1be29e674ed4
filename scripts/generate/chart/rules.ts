// Why: the chart ships the rules about the operator, from the same functions as everything else about alerts. What only an
// installation knows (its job, where its runbooks are) is a word that Helm replaces. Pure: rules in, text out.
import { stringify } from "yaml";
import { operatorRules } from "../../../operator/src/desired/monitoring/rules/operator.ts";
import { renderGroups } from "../../../operator/src/desired/monitoring/rules/render.ts";

const HEADER = "# Generated from operator/src/desired/monitoring/rules by `npm run generate`. Do not edit.\n";

/** The `job` that prometheus-operator gives what the chart's PodMonitor finds. */
const JOB = "@JOB@";
const RUNBOOKS = "@RUNBOOKS@";

/** `charts/nexus/files/monitoring/rules.yaml`: `groups` as a rule file and a PrometheusRule have them. */
export const operatorRulesFile = (): string =>
  `${HEADER}${stringify({ groups: renderGroups(operatorRules({ job: JOB }), RUNBOOKS) }, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false })}`;
