// Why: rows of the table that take the API server, its memory or its CRDs away. Nobody else may be on it, so they run one after
// the other.
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { denyOnPurpose } from "../../../support/cluster/rights-log.ts";
import { type Stage, startStage } from "../../../support/operator.ts";
import { type Ground, ground, openPlace } from "./place.ts";
import { OUTAGE } from "./rows/outage.ts";
import { testName } from "./scenario.ts";

setDefaultTimeout(200_000);

let stage: Stage;
let shared: Ground;

beforeAll(async () => {
  stage = await startStage();
  // An API server that has just started refuses, for a moment, what it will allow: its rules are not read yet.
  denyOnPurpose(stage.plane, {});
  shared = await ground(stage);
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

for (const scenario of OUTAGE) {
  test(testName(scenario), async () => {
    await using place = await openPlace(shared, scenario.source);
    await scenario.run(place);
  });
}
