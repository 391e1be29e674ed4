// Why: the whole table in one place, for the page that is written from it and for whoever wants to count.
import { ADMISSION } from "./rows/admission.ts";
import { CONNECTION } from "./rows/connection.ts";
import { CONTEST } from "./rows/contest.ts";
import { DELETION } from "./rows/deletion.ts";
import { DRIFT } from "./rows/drift.ts";
import { LIFECYCLE } from "./rows/lifecycle.ts";
import { OUTAGE } from "./rows/outage.ts";
import { OWNERSHIP } from "./rows/ownership.ts";
import { SCRIPTED } from "./rows/scripted.ts";
import { UPGRADE } from "./rows/upgrade.ts";
import type { Scenario } from "./scenario.ts";

export type Row = Pick<Scenario, "source" | "title" | "symptom" | "answer">;

/** Under its heading; `test`: the file that runs these rows. */
export type Chapter = { readonly heading: string; readonly test: string; readonly rows: readonly Row[] };

export const TABLE: readonly Chapter[] = [
  { heading: "Deleting", test: "shared.test.ts", rows: DELETION },
  { heading: "Whose an object is", test: "shared.test.ts", rows: OWNERSHIP },
  { heading: "What others change", test: "shared.test.ts", rows: [...DRIFT, ...CONTEST] },
  { heading: "What the API server refuses", test: "shared.test.ts", rows: ADMISSION },
  { heading: "Zero, paused, forgetful pods", test: "shared.test.ts", rows: LIFECYCLE },
  { heading: "Another operator", test: "own.test.ts", rows: UPGRADE },
  { heading: "Networks, tokens, clocks, leaders", test: "own.test.ts", rows: CONNECTION },
  { heading: "The API server goes, or forgets", test: "outage.test.ts", rows: OUTAGE },
  { heading: "What only a bad day says", test: "scripted.test.ts", rows: SCRIPTED },
];
