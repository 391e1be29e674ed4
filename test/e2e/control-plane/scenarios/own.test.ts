// Why: rows of the table in which operators are started, stopped, cut off and exchanged. Each has its own operators, which watch
// its namespace alone and compete for a Lease of its own; so they run at once on one API server.
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { type Stage, startStage } from "../../../support/operator.ts";
import { type Ground, ground, openPlace } from "./place.ts";
import { CONNECTION } from "./rows/connection.ts";
import { UPGRADE } from "./rows/upgrade.ts";
import { testName } from "./scenario.ts";
import { turns } from "./turns.ts";

// A row waits for its turn inside its time.
setDefaultTimeout(400_000);

let stage: Stage;
let shared: Ground;

beforeAll(async () => {
  stage = await startStage();
  shared = await ground(stage);
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

const inTurn = turns(8);
for (const scenario of [...CONNECTION, ...UPGRADE]) {
  test.concurrent(testName(scenario), () =>
    inTurn(async () => {
      await using place = await openPlace(shared, scenario.source);
      await scenario.run(place);
    }),
  );
}
