// Why: writes the result table of `docs/websocket-conformance.md`. It must run every case, however long that takes.
// Usage: bun test/conformance/autobahn/record.ts
import { startEcho } from "./echo.ts";
import { autobahnHome } from "./home.ts";
import { isAccepted, runCases } from "./suite.ts";
import { replaceResults } from "./table.ts";

export const PAGE = new URL("../../../docs/websocket-conformance.md", import.meta.url).pathname;

async function record(): Promise<number> {
  const home = await autobahnHome();
  if (!home.ok) {
    process.stderr.write(`${home.reason}\n`);
    return 1;
  }
  await using echo = startEcho();
  const results = await runCases(home, echo.url, ["*"]);
  await Bun.write(PAGE, replaceResults(await Bun.file(PAGE).text(), results));
  const failed = results.filter((one) => !isAccepted(one));
  process.stderr.write(`${results.length} cases, ${failed.length} failed ${failed.map(({ id }) => id).join(" ")}\n`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await record());
