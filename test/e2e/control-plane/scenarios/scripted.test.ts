// Why: rows of the table for which a real API server cannot be made to misbehave.
import { setDefaultTimeout, test } from "bun:test";
import { SCRIPTED } from "./rows/scripted.ts";
import { testName } from "./scenario.ts";

setDefaultTimeout(30_000);

for (const scenario of SCRIPTED) test.concurrent(testName(scenario), () => scenario.run(undefined));
