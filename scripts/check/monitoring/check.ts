// Why: the checks in one list, so that none is forgotten by whoever runs them.
import { catalogueOf } from "./catalogue.ts";
import { complaintsOfDashboards } from "./dashboards.ts";
import { brokenLinks } from "./links.ts";
import { complaintsOfProse } from "./prose.ts";
import { complaintsOfReference } from "./reference.ts";
import { alertsOf, complaintsOfAlerts, complaintsOfRules, withRecordings } from "./rules.ts";
import type { World } from "./world.ts";

/** Everything that is wrong with `world`, a line each, in the order of the checks; empty when all is well. */
export function complaintsOf(world: World): readonly string[] {
  const catalogue = withRecordings(catalogueOf(world.metrics), world.rules);
  return [
    ...new Set([
      ...complaintsOfRules(world, catalogue),
      ...complaintsOfAlerts(world),
      ...complaintsOfDashboards(world.dashboards, catalogue, new Set(alertsOf(world).keys())),
      ...complaintsOfReference(world),
      ...complaintsOfProse(world, catalogue),
      ...brokenLinks(world.pages, world.exists, world.runbookBase),
    ]),
  ];
}
