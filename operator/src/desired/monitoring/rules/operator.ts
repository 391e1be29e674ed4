// Why: the rules about the operator, and about what only it knows of every cluster: conditions, sizes, certificates, pushes. The
// chart ships them beside the operator, because its series lie in its own namespace. Pure.
import { type Matchers, type RuleGroup, selector } from "./model.ts";

/** `matchers`: which series are this operator's, for example `{ job: "nexus-system/nexus" }`. */
export function operatorRules(matchers: Matchers): readonly RuleGroup[] {
  return [
    {
      name: "nexus-operator",
      rules: [
        {
          name: "NexusOperatorHasNoLeader",
          expr: `absent(leader_election_master_status${selector(matchers)} == 1)`,
          forSeconds: 60,
          severity: "critical",
          summary: "No Nexus operator leads",
          description:
            "For a minute no replica held the Lease, or none was scraped. Servers go on with the configuration they have; nothing new takes effect.",
        },
      ],
    },
  ];
}
