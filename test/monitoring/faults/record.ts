// Why: `bun test/monitoring/faults/record.ts` provokes the ten faults and keeps what was seen in docs/monitoring.md. It must never
// keep a table with a broken promise in it.
import { join } from "node:path";
import { FAULTS } from "./faults.ts";
import { problemsOf, strangersOf } from "./judge.ts";
import { promisesOf } from "./pages.ts";
import { provoke } from "./run.ts";
import { HEADER, rowOf } from "./table.ts";

const PAGE = join(import.meta.dir, "../../../docs/monitoring.md");
const [BEGIN, END] = ["<!-- faults: begin -->", "<!-- faults: end -->"];

const report = await provoke(FAULTS, await promisesOf(FAULTS.map(({ alert }) => alert)));
const table = [HEADER, ...report.accounts.map((account) => rowOf(account, report))].join("\n");
const problems = [...report.accounts.flatMap((account) => problemsOf(account, report)), ...strangersOf(report, FAULTS)];
process.stdout.write(`${table}\n`);
if (problems.length > 0) {
  process.stderr.write(`not recorded:\n${problems.join("\n")}\n`);
  process.exit(1);
}
const page = await Bun.file(PAGE).text();
const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the table: ${BEGIN} … ${END}`);
await Bun.write(PAGE, `${page.slice(0, from + BEGIN.length)}\n${table}\n${page.slice(to)}`);
process.exit(0);
