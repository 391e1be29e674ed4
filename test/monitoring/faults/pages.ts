// Why: how soon an alert comes is promised on its page, to people; the test holds the alert to that and to no number of its own.
import { join } from "node:path";
import { firesWithinSeconds } from "../../../scripts/check/monitoring/page.ts";

const RUNBOOKS = join(import.meta.dir, "../../../docs/runbooks");

/** Seconds by alert. @throws Error for a page that promises nothing */
export async function promisesOf(alerts: readonly string[]): Promise<(alert: string) => number> {
  const promised = new Map<string, number>();
  for (const alert of alerts) {
    const seconds = firesWithinSeconds(await Bun.file(join(RUNBOOKS, `${alert}.md`)).text());
    if (seconds === undefined) throw new Error(`docs/runbooks/${alert}.md promises nothing`);
    promised.set(alert, seconds);
  }
  return (alert) => promised.get(alert) ?? Number.NaN;
}
