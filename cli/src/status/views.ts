// Why: a terminal shows the present, a pipe tells the story: the same overview as a screen that is drawn again, or as a line for each
// object that says something new.

import type { Io, Screen } from "../io.ts";
import { nameOf } from "../kube/objects.ts";
import { all, type Judged, type Overview, overviewText, summary } from "./overview.ts";
import type { View } from "./watch.ts";

const clock = (nowMs: number): string => new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");

/** What stands on the screen, as lines; never more than `rows`, none wider than `columns`. */
export function screenText(text: string, { rows, columns }: { readonly rows: number; readonly columns: number }): string {
  const lines = text.split("\n");
  const shown = lines.length <= rows ? lines : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
  return shown.map((line) => (line.length <= columns ? line : `${line.slice(0, columns - 1)}…`)).join("\n");
}

export function screenView(screen: Screen, wallMs: () => number = Date.now): View {
  let overview: Overview | undefined;
  let trouble: string | undefined;
  const draw = () => {
    if (!overview) return;
    const nowMs = wallMs();
    const head = trouble === undefined ? `As of ${clock(nowMs)}; Ctrl-C ends.` : `This may be old, it is tried again: ${trouble}`;
    screen.draw(screenText(`${head}\n\n${overviewText(overview, nowMs)}`, screen.size()));
  };
  return {
    show(now) {
      overview = now;
      draw();
    },
    trouble(message) {
      trouble = message;
      draw();
    },
  };
}

/** A line for each cluster, tenant and template that is not Ready, then one whenever an object says something else, or is gone. */
export function lineView({ out, err }: Pick<Io, "out" | "err">, format: "text" | "json", wallMs: () => number = Date.now): View {
  let before: ReadonlyMap<string, string> | undefined;
  let told: string | undefined;
  const say = (object: string, words: string) => out(format === "json" ? words : `${clock(wallMs())}  ${object}  ${words}`);
  return {
    show(overview) {
      const now = new Map(all(overview).map((one) => [nameOf(one), format === "json" ? JSON.stringify(summary(one)) : words(one)]));
      for (const one of all(overview)) {
        const [name, text] = [nameOf(one), now.get(nameOf(one)) ?? ""];
        const isQuiet = before === undefined && one.kind === "Template" && summary(one).ready === "True";
        if (!isQuiet && before?.get(name) !== text) say(name, text);
      }
      for (const [name, text] of before ?? [])
        if (!now.has(name)) say(name, format === "json" ? JSON.stringify({ ...Object(JSON.parse(text)), deleted: true }) : "deleted");
      before = now;
    },
    trouble(message) {
      if (message === told) return;
      told = message;
      err(message === undefined ? "nexus: it goes on" : `nexus: ${message}; it is tried again`);
    },
  };
}

/** `True  AllReplicasReady  3/3 ready`; what says the same is not said again. */
function words(object: Judged): string {
  const { ready, reason, message } = summary(object);
  return [`Ready=${ready}`, reason, ...(message === "" ? [] : [message])].join("  ");
}
