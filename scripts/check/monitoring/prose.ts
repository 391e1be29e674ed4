// Why: what pages tell a reader to type or to look for has to exist: expressions, metric names, commands, log events. Pure.
import type { Catalogue } from "./catalogue.ts";
import { unknownNames } from "./fields.ts";
import { fencesOf, promqlIn } from "./page.ts";
import { readExpression, selectorsIn } from "./promql/read.ts";
import { REFERENCE, RUNBOOKS, type World } from "./world.ts";

/** What stands for the reader's own names in expressions of runbooks; the operator's namespace is that of the installation page. */
const PLACEHOLDERS: Readonly<Record<string, readonly string[]>> = {
  namespace: ["NAMESPACE", "nexus-system"],
  nexus_namespace: ["NAMESPACE"],
  nexus_cluster: ["CLUSTER"],
  pod: ["POD"],
  tenant: ["TENANT"],
};

/** Expressions and names in the text of all pages. */
export function complaintsOfProse(world: World, catalogue: Catalogue): readonly string[] {
  const { metrics, pages, commands, logEvents } = world;
  const families = new Set(metrics.map(({ name }) => name));
  const labels = new Set([...metrics.flatMap((metric) => metric.labels), "nexus_cluster", "nexus_namespace"]);
  return [...pages].flatMap(([path, text]) => {
    const wrong: string[] = [];
    for (const expr of promqlIn(text)) {
      for (const complaint of readExpression(expr, catalogue).complaints) wrong.push(`"${expr}" ${complaint}`);
      if (path.startsWith(RUNBOOKS)) wrong.push(...complaintsOfPlaceholders(expr), ...complaintsOfStrangers(expr));
    }
    if (path !== REFERENCE)
      for (const name of metricWords(text))
        if (!families.has(name) && !catalogue.has(name) && !labels.has(name)) wrong.push(`names ${name}, which no registry exports`);
    if (path.startsWith(RUNBOOKS))
      wrong.push(
        ...[...complaintsOfCommands(text, commands), ...complaintsOfEvents(text, logEvents)],
        ...[...complaintsOfLogs(text), ...unknownNames(text, world)],
      );
    return wrong.map((complaint) => `${path}: ${complaint}`);
  });
}

const METRIC_PREFIXES = ["nexus_", "controller_runtime_", "workqueue_", "rest_client_", "leader_election_", "reflector_", "nodejs_"];

/** Words that look like a metric: in backticks (`nexus_sessions`, `nexus_triggers_total{form}`), and in blocks of other languages. */
function metricWords(text: string): readonly string[] {
  const outside = text.replace(/^ *```[\s\S]*?^ *```/gm, "");
  const spans = [...outside.matchAll(/`([a-z]+[_:][a-z0-9_:]*[a-z0-9])(?:\{[^`]*\})?`/g)].map(([, name = ""]) => name);
  const blocks = fencesOf(text).filter(({ language }) => language !== "promql");
  return [
    ...spans.filter((name) => /^nexus:.+:(rate|ratio)/.test(name) || METRIC_PREFIXES.some((prefix) => name.startsWith(prefix))),
    ...blocks.flatMap(({ text: block }) => block.match(/\bnexus_[a-z0-9_]*[a-z0-9]\b/g) ?? []),
  ];
}

function complaintsOfPlaceholders(expr: string): readonly string[] {
  return selectorsIn(expr).flatMap(({ matchers }) =>
    matchers.flatMap(({ label, value }) => {
      const wanted = PLACEHOLDERS[label];
      if (wanted === undefined || value === "" || wanted.includes(value)) return [];
      return [`"${expr}" says ${label}="${value}" and not "${wanted[0]}"`];
    }),
  );
}

/** Names that other programs have as well, such as every controller: without a namespace a page would show those of all. */
function complaintsOfStrangers(expr: string): readonly string[] {
  return selectorsIn(expr).flatMap(({ name = "", matchers }) =>
    /^(nexus|ALERTS)/.test(name) || matchers.some(({ label }) => label === "namespace" || label === "nexus_cluster")
      ? []
      : [`"${expr}" selects ${name} of every program; say namespace`],
  );
}

const shellLines = (text: string) =>
  fencesOf(text)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text: block }) => block.split("\n"));

function complaintsOfCommands(text: string, commands: readonly string[]): readonly string[] {
  const asked = [
    ...shellLines(text).flatMap((line) => [...line.matchAll(/(?:^|[|&;(]\s*)(?:kubectl )?nexus ([a-z-]+)/g)]),
    ...text.matchAll(/`(?:kubectl )?nexus ([a-z-]+)/g),
  ];
  return asked
    .map(([, command = ""]) => command)
    .filter((command) => !commands.includes(command))
    .map((command) => `tells to run nexus ${command}, which does not exist`);
}

/** Of pods chosen by labels kubectl shows ten lines each, and of a Deployment one pod, unless it is told otherwise. */
function complaintsOfLogs(text: string): readonly string[] {
  const asked = shellLines(text).filter((line) => /\bkubectl logs\b/.test(line));
  return [
    ...asked.filter((line) => / -l /.test(line) && !line.includes("--tail")).map((line) => `reads only ten lines a pod: ${line.trim()}`),
    ...asked.filter((line) => /\bdeploy(ment)?\//.test(line)).map((line) => `reads one pod of a Deployment: ${line.trim()}`),
  ];
}

/** `grep session.closed` in a block, and `log event `session.closed`` in the text. */
function complaintsOfEvents(text: string, events: readonly string[]): readonly string[] {
  const asked = [
    ...shellLines(text).flatMap((line) => [...line.matchAll(/\bgrep (?:-\w+ )*'?"?([a-z_.|\\]+\.[a-z_.|\\]+)/g)]),
    ...text.matchAll(/\blog events? `([a-z_.]+)`/g),
  ];
  return asked
    .flatMap(([, names = ""]) => names.split(/\\?\|/))
    .map((name) => name.replaceAll("\\", ""))
    .filter((name) => name !== "" && !events.includes(name))
    .map((name) => `looks for log event ${name}, which nobody writes`);
}
