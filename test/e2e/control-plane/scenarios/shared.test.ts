// Why: rows of the table that one operator serves at the same time, each in a namespace of its own, as in production: what one
// team breaks must not be felt by another. They run at once; an operator that stops for one of them fails many.
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { type Stage, startStage } from "../../../support/operator.ts";
import { type Ground, ground, openPlace } from "./place.ts";
import { ADMISSION } from "./rows/admission.ts";
import { CONTEST } from "./rows/contest.ts";
import { DELETION } from "./rows/deletion.ts";
import { DRIFT } from "./rows/drift.ts";
import { LIFECYCLE } from "./rows/lifecycle.ts";
import { OWNERSHIP } from "./rows/ownership.ts";
import { testName } from "./scenario.ts";
import { turns } from "./turns.ts";

// A row waits for its turn inside its time.
setDefaultTimeout(400_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;
let shared: Ground;

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator();
  shared = await ground(stage);
});
afterAll(async () => {
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

const inTurn = turns(10);
for (const scenario of [...DELETION, ...OWNERSHIP, ...DRIFT, ...CONTEST, ...ADMISSION, ...LIFECYCLE]) {
  test.concurrent(testName(scenario), () =>
    inTurn(async () => {
      await using place = await openPlace(shared, scenario.source);
      await scenario.run(place);
    }),
  );
}
