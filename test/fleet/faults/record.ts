// Why: `bun test/fleet/faults/record.ts [people] [part of a fault's name]` runs every fault with 3,000 people and keeps what
// was seen in docs/reliability.md. It must never keep a table with a broken promise in it.
import { cpus } from "node:os";
import { join } from "node:path";
import { FAULTS } from "./faults.ts";
import { flap, sentenceOf } from "./flap.ts";
import { type Account, runFault } from "./run.ts";
import { HEADER, rowOf } from "./table.ts";

const PAGE = join(import.meta.dir, "../../../docs/reliability.md");
const [BEGIN, END] = ["<!-- recorded: begin -->", "<!-- recorded: end -->"];
const FLAPPING = { people: 1000, seconds: 30 };

const people = Number(process.argv[2] ?? 3000);
const part = process.argv[3];

const rows: string[] = [];
const broken: string[] = [];
console.log(HEADER);
for (const fault of FAULTS) {
  if (part !== undefined && !fault.name.includes(part)) continue;
  const account = await runFault(fault, people);
  rows.push(rowOf(account));
  console.log(rows.at(-1));
  const promise = brokenPromise(account, fault.mayLose);
  if (promise !== undefined) broken.push(`${fault.name}: ${promise}`);
}
const flapped = part === undefined ? await flap(FLAPPING) : undefined;
if (flapped) console.log(sentenceOf(flapped));
if (flapped && flapped.holes + flapped.told + flapped.repeated > 0) broken.push("flapping links");
if (broken.length > 0) {
  process.stderr.write(`not recorded:\n${broken.join("\n")}\n`);
  process.exit(1);
}
if (flapped) await keep([machine(), HEADER, ...rows, "", `Flapping links: ${sentenceOf(flapped)}.`].join("\n"));
process.exit(0);

function brokenPromise({ holes, repeated, gaveUp, toldKept, examples }: Account, mayLose: boolean): string | undefined {
  if (holes > 0) return `${holes} silent holes, such as ${examples.join("; ")}`;
  if (repeated > 0) return `${repeated} entries came twice`;
  if (gaveUp > 0) return `${gaveUp} people gave up`;
  return toldKept > 0 && !mayLose ? `${toldKept} entries that Redis had were told as lost` : undefined;
}

function machine(): string {
  const [cpu] = cpus();
  return `Recorded ${new Date().toISOString().slice(0, 10)} on ${cpus().length} cores (${cpu?.model.trim() ?? "unknown"}), Bun ${Bun.version}; servers, Redis, people and publishers share them.\n`;
}

async function keep(table: string): Promise<void> {
  const page = await Bun.file(PAGE).text();
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${PAGE} has no place for the table`);
  await Bun.write(PAGE, `${page.slice(0, before + BEGIN.length)}\n${table}\n${page.slice(after)}`);
}
