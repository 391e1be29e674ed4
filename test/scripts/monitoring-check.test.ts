// Why: a check that never complains is no check. Each is given a small world with exactly one fault and has to say exactly that;
// the world without a fault has to pass.
import { describe, expect, test } from "bun:test";
import type { Alert, Recording } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { catalogueOf } from "../../scripts/check/monitoring/catalogue.ts";
import { complaintsOf } from "../../scripts/check/monitoring/check.ts";
import { readExpression } from "../../scripts/check/monitoring/promql/read.ts";
import type { Panel } from "../../scripts/check/monitoring/world.ts";
import { aPage, aWorld, BASE, METRICS, RULES, ruleFile } from "./monitoring-world.ts";

const withPage = (path: string, text: string) => aWorld({ pages: new Map([...aWorld().pages, [path, text]]) });
const withoutPage = (path: string) => aWorld({ pages: new Map([...aWorld().pages].filter(([name]) => name !== path)) });
/** The world whose alert, or recording rule, is changed. */
const withAlert = (change: Partial<Alert>) => aWorld({ rules: [ruleFile([RULES.recording, { ...RULES.alert, ...change }])] });
const withRecording = (change: Partial<Recording>) => aWorld({ rules: [ruleFile([{ ...RULES.recording, ...change }, RULES.alert])] });
const withPanel = (change: Partial<Panel>) =>
  aWorld({
    dashboards: aWorld().dashboards.map((dashboard) => ({
      ...dashboard,
      rows: dashboard.rows.map(({ panels }) => ({ panels: panels.map((panel) => ({ ...panel, ...change })) })),
    })),
  });
const withQuery = (expr: string, legend = "{{pod}}") => withPanel({ queries: [{ expr, legend }], columns: {} });
const SCOPE = 'namespace="prod",nexus_cluster="live"';

test("a world in which all belongs together passes", () => {
  expect(complaintsOf(aWorld())).toEqual([]);
});

describe("an alert without page or tests", () => {
  const PAGE = "docs/runbooks/NexusBusy.md";
  const page = aPage("NexusBusy");

  test("an alert without its page", () => {
    expect(complaintsOf(withoutPage(PAGE))).toEqual([`fleet: NexusBusy has no page ${PAGE}`]);
  });

  test("a page without its alert", () => {
    expect(complaintsOf(withPage("docs/runbooks/NexusGone.md", aPage("NexusGone")))).toEqual([
      "docs/runbooks/NexusGone.md: no alert has this name",
    ]);
  });

  test.each(["Meaning", "Impact", "Diagnosis", "Mitigation", "See also"])("a page without %s", (section) => {
    const without = page.replace(new RegExp(`^## ${section}\\n[\\s\\S]*?(?=^## |$(?![\\s\\S]))`, "m"), "");
    expect(complaintsOf(withPage(PAGE, without))).toEqual([`${PAGE} has no section "${section}"`]);
  });

  test.each([
    ["with nothing in a section", page.replace(/## Impact\n\n.*\n/, "## Impact\n"), 'says nothing under "Impact"'],
    [
      "with its sections in another order",
      page.replace("## Impact", "## X").replace("## Mitigation", "## Impact").replace("## X", "## Mitigation"),
      "has its sections in another order: Meaning, Mitigation, Diagnosis, Impact, See also",
    ],
    ["without a promise", page.replace(/^Fires within.*$/m, ""), 'has no line "Fires within: N min"'],
    [
      "that promises too much",
      page.replace("3 min", "90 s"),
      "promises 90 s, and the rule alone waits 60 s, a scrape and an evaluation 60 s",
    ],
    ["under another title", page.replace("# NexusBusy", "# NexusIdle"), 'is not headed "# NexusBusy"'],
    ["without a line that says it all", page.replace("Pods are busy.\n", ""), "has no line below its title that says what is wrong"],
    ["that asks Prometheus nothing", page.replaceAll("```promql", "```text"), "asks nothing of Prometheus in its Diagnosis"],
    ["without a kubectl command", page.replaceAll("kubectl", "ctl"), "has no kubectl command in its Diagnosis"],
  ])("a page %s", (_what, text, complaint) => {
    expect(complaintsOf(withPage(PAGE, text))).toEqual([`${PAGE} ${complaint}`]);
  });

  test.each(["fires", "silent", "boundary", "missing"])("an alert without the promtool test %s", (kind) => {
    const cases = aWorld().cases.map((one) => ({ ...one, [kind]: [] }));
    expect(complaintsOf(aWorld({ cases }))).toEqual([`NexusBusy has no promtool test "${kind}"`]);
  });

  test("an alert without promtool tests, and tests without an alert", () => {
    expect(complaintsOf(aWorld({ cases: [] }))).toEqual(["NexusBusy has no promtool tests"]);
    const cases = [...aWorld().cases, { ...aWorld().cases[0], alert: "NexusGone" }];
    expect(complaintsOf(aWorld({ cases }))).toEqual(["promtool tests are about NexusGone, which no rule has"]);
  });

  test("an alert whose runbook_url leads elsewhere", () => {
    const rules = [ruleFile([RULES.recording, RULES.alert], "https://other.example")];
    expect(complaintsOf(aWorld({ rules }))).toEqual([
      "fleet: NexusBusy has the runbook_url https://other.example/NexusBusy, which does not lead to its page",
    ]);
  });
});

describe("a rule that cannot work", () => {
  test.each([
    ["a metric no registry exports", `nexus_sesions{${SCOPE}} > 1`, "names nexus_sesions, which no registry exports"],
    ["a histogram under its own name", `rate(nexus_wait_seconds{${SCOPE}}[5m]) > 1`, "names nexus_wait_seconds, which no registry exports"],
    ["a label it does not have", `nexus_sessions{${SCOPE},user="a"} > 1`, "asks for label user, which nexus_sessions does not have"],
    ["a value no label has", `nexus_sessions{${SCOPE},transport="udp"} > 1`, 'asks for transport="udp", which nexus_sessions never says'],
    [
      "one of several values no label has",
      `nexus_sessions{${SCOPE},transport=~"sse|udp"} > 1`,
      'asks for transport=~"sse|udp", which nexus_sessions never says',
    ],
    [
      "a grouping by a label it does not have",
      `sum by (namespace, nexus_cluster, user) (nexus_sessions{${SCOPE}}) > 1`,
      `groups by label user, which "nexus_sessions{${SCOPE}}" does not have`,
    ],
    ["a rate of a gauge", `rate(nexus_sessions{${SCOPE}}[5m]) > 1`, "takes rate of nexus_sessions, which is a gauge"],
    [
      "a quantile without le",
      `histogram_quantile(0.9, sum by (namespace, nexus_cluster) (rate(nexus_wait_seconds_bucket{${SCOPE}}[5m]))) > 1`,
      "takes histogram_quantile of series without le",
    ],
    [
      "two sides that never match",
      `sum by (namespace, nexus_cluster) (nexus_sessions{${SCOPE}}) / sum by (namespace, nexus_cluster, pod) (nexus_sessions{${SCOPE}})`,
      "has two sides that never match: only one has pod",
    ],
    [
      "a match on a label one side does not have",
      `sum by (namespace, nexus_cluster) (nexus_sessions{${SCOPE}}) * on (namespace, nexus_cluster, pod) up{${SCOPE}}`,
      "matches on label pod, which one side does not have",
    ],
    [
      "a label taken from a side without it",
      `sum by (namespace, nexus_cluster, pod) (nexus_sessions{${SCOPE}}) * on (namespace, nexus_cluster) group_left (transport) sum by (namespace, nexus_cluster) (nexus_sessions{${SCOPE}})`,
      "takes label transport from a side that does not have it",
    ],
    [
      "a label read that is not there",
      `label_replace(nexus_sessions{${SCOPE}}, "a", "$1", "user", "(.*)") > 1`,
      "reads label user in label_replace, which is not there",
    ],
    ["no metric at all", `{${SCOPE}} > 1`, "selects series without naming a metric"],
    ["no PromQL", `nexus_sessions{${SCOPE}} >`, 'is no PromQL at ""'],
    ["the series of all clusters", 'nexus_sessions{nexus_cluster="live"} > 1', 'selects nexus_sessions without namespace="prod"'],
    ["no label to route by", `sum by (namespace) (nexus_sessions{${SCOPE}}) > 1`, "loses label nexus_cluster, by which alerts are routed"],
  ])("an alert with %s", (_what, expr, complaint) => {
    expect(complaintsOf(withAlert({ expr, summary: "Busy" }))).toEqual([`fleet: NexusBusy ${complaint}`]);
  });

  test("an alert about some clusters has all labels by which they are routed, one about none has none of them", () => {
    const world = (expr: string) => {
      const [some] = withAlert({ expr, summary: "Busy" }).rules;
      const rules = some ? [{ ...some, routing: { ...some.routing, always: false } }] : [];
      return complaintsOf(aWorld({ rules, dashboards: [] }));
    };
    expect(world(`sum(nexus_sessions{${SCOPE}}) > 1`)).toEqual([]);
    expect(world(`sum by (namespace) (nexus_sessions{${SCOPE}}) > 1`)).toEqual([
      "fleet: NexusBusy loses label nexus_cluster, by which alerts are routed",
    ]);
  });

  test("a recording rule with a metric no registry exports is blamed, the alert on it is not", () => {
    expect(complaintsOf(withRecording({ expr: `sum by (namespace, nexus_cluster, pod) (nexus_sesions{${SCOPE}})` }))).toEqual([
      "fleet: nexus:sessions:sum names nexus_sesions, which no registry exports",
    ]);
  });

  test("a recording rule that loses a label its alert needs", () => {
    expect(complaintsOf(withRecording({ expr: `sum by (namespace, nexus_cluster) (nexus_sessions{${SCOPE}})` }))).toEqual([
      "fleet: NexusBusy speaks of label pod in its summary, which it does not have",
      'dashboard "Fleet", panel "Sessions" has pod in its legend, which its query does not give',
      'dashboard "Fleet", panel "Sessions" has a column pod, which no query of it gives',
    ]);
  });

  test.each([
    [
      "a label it does not have in its text",
      { description: "{{ $labels.tenant }} has 1" },
      "speaks of label tenant in its description, which it does not have",
    ],
    ["no number in its description", { description: "It is much." }, "has no number in its description"],
    ["no summary", { summary: " " }, "has no summary"],
  ])("an alert with %s", (_what, change, complaint) => {
    expect(complaintsOf(withAlert(change))).toEqual([`fleet: NexusBusy ${complaint}`]);
  });
});

describe("a panel that stays empty", () => {
  test.each([
    ["a metric no registry exports", withQuery("nexus_sesions"), 'panel "Sessions" names nexus_sesions, which no registry exports'],
    [
      "a label in its legend that is not there",
      withQuery("sum by (pod) (nexus_sessions)", "{{tenant}}"),
      'panel "Sessions" has tenant in its legend, which its query does not give',
    ],
    [
      "a value no label has",
      withQuery('nexus_sessions{namespace="$namespace",transport="udp"}'),
      'panel "Sessions" asks for transport="udp", which nexus_sessions never says',
    ],
  ])("a query with %s", (_what, world, complaint) => {
    expect(complaintsOf(world)).toEqual([`dashboard "Fleet", ${complaint}`]);
  });

  test.each([
    ["nexus_sesions", "pod", "names nexus_sesions, which no registry exports"],
    ["nexus_sessions", "user", "lists label user, which its series does not have"],
  ])("a variable of %s by %s", (query, values, complaint) => {
    const dashboards = aWorld().dashboards.map((one) => ({ ...one, variables: [{ name: "v", query, values }] }));
    expect(complaintsOf(aWorld({ dashboards }))).toEqual([`dashboard "Fleet", variable v ${complaint}`]);
  });

  test.each([
    [{ columns: { tenant: "Tenant" } }, "has a column tenant, which no query of it gives"],
    [{ alerts: ["NexusGone"] }, "links to the alert NexusGone, which no rule has"],
  ])("a panel with %j", (change, complaint) => {
    expect(complaintsOf(withPanel(change))).toEqual([`dashboard "Fleet", panel "Sessions" ${complaint}`]);
  });
});

describe("the reference", () => {
  test("a metric that is not in it", () => {
    const metrics = [...METRICS, { name: "nexus_new", type: "gauge" as const, labels: [], target: "server" as const }];
    expect(complaintsOf(aWorld({ metrics }))).toEqual(["docs/reference/metrics.md: nexus_new is exported and not there"]);
  });

  test("a metric nobody exports", () => {
    expect(
      complaintsOf(withPage("docs/reference/metrics.md", `${aWorld().pages.get("docs/reference/metrics.md")}| \`nexus_old\` | gauge |\n`)),
    ).toEqual(["docs/reference/metrics.md: nexus_old is there and nobody exports it"]);
  });

  test("no reference at all", () => {
    expect(complaintsOf(withoutPage("docs/reference/metrics.md"))).toContain("docs/reference/metrics.md is missing");
  });
});

describe("links", () => {
  test.each([
    ["a page that is not there", "[x](tenants.md)", "tenants.md leads nowhere: there is no docs/tenants.md"],
    ["a heading that is not there", "[x](other.md#nothing)", "other.md#nothing leads nowhere: docs/other.md has no such heading"],
    ["a heading of its own that is not there", "[x](#nothing)", "#nothing leads nowhere: docs/page.md has no such heading"],
    [
      "a runbook that is not there",
      "[x](runbooks/NexusGone.md)",
      "runbooks/NexusGone.md leads nowhere: there is no docs/runbooks/NexusGone.md",
    ],
    [
      "a published runbook that is not there",
      `[x](${BASE}/NexusGone)`,
      `${BASE}/NexusGone leads nowhere: there is no docs/runbooks/NexusGone.md`,
    ],
    ["a reference that leads nowhere", "[x]: tenants.md", "tenants.md leads nowhere: there is no docs/tenants.md"],
  ])("to %s", (_what, text, complaint) => {
    expect(complaintsOf(withPage("docs/page.md", `# Page\n\n${text}\n`))).toEqual([`docs/page.md: ${complaint}`]);
  });

  test("to files, folders, headings in all their forms, and elsewhere", () => {
    const text = `# Page\n\n[a](../LICENSE) [b](runbooks/) [c](other.md#when-a-pod-stops) [d](other.md#nexusdevpaused--true-1) [e](https://example.org/#x)\n[f](${BASE}/NexusBusy)\n`;
    expect(complaintsOf(withPage("docs/page.md", `${text}\n\`[x](nowhere.md)\`\n\n\`\`\`md\n[x](nowhere.md)\n\`\`\`\n`))).toEqual([]);
  });
});

describe("what pages tell to type", () => {
  const says = (text: string, path = "docs/page.md") => complaintsOf(withPage(path, `# Page\n\n${text}\n`));
  const runbook = (text: string) => complaintsOf(withPage("docs/runbooks/NexusBusy.md", aPage("NexusBusy").replace("Send fewer.", text)));

  test("an expression about a metric nobody exports", () => {
    expect(says("```promql\nsum(\n  nexus_sesions\n)\n```")).toEqual([
      'docs/page.md: "sum(\n  nexus_sesions\n)" names nexus_sesions, which no registry exports',
    ]);
  });

  test("a metric in the text that nobody exports", () => {
    expect(says("Look at `nexus_sesions` and `nexus_sessions{transport}` and `nexus_wait_seconds` and the label `nexus_cluster`.")).toEqual(
      ["docs/page.md: names nexus_sesions, which no registry exports"],
    );
  });

  test("a metric in a block of another language that nobody exports", () => {
    expect(says("```yaml\nseriesQuery: nexus_sesions{pod!=''}\nother: nexus_sessions{nexus_cluster=''}\n```")).toEqual([
      "docs/page.md: names nexus_sesions, which no registry exports",
    ]);
  });

  test("another placeholder than the one of all runbooks", () => {
    expect(runbook('```promql\nnexus_sessions{namespace="NS"}\n```')).toEqual([
      'docs/runbooks/NexusBusy.md: "nexus_sessions{namespace="NS"}" says namespace="NS" and not "NAMESPACE"',
    ]);
  });

  test("an expression that shows other programs as well", () => {
    expect(runbook('```promql\nup == 0\n\nup{namespace="NAMESPACE"} == 0\n```')).toEqual([
      'docs/runbooks/NexusBusy.md: "up == 0" selects up of every program; say namespace',
    ]);
  });

  test("a command that does not exist", () => {
    expect(runbook("```sh\nkubectl nexus explain nxc/CLUSTER\nkubectl nexus heal CLUSTER\n```")).toEqual([
      "docs/runbooks/NexusBusy.md: tells to run nexus heal, which does not exist",
    ]);
    expect(runbook("Run `nexus repair`.")).toEqual(["docs/runbooks/NexusBusy.md: tells to run nexus repair, which does not exist"]);
  });

  test("logs of which kubectl shows a part", () => {
    expect(runbook("```sh\nkubectl logs -l a=b --since=5m\nkubectl logs -l a=b --tail=-1\nkubectl logs deployment/x\n```")).toEqual([
      "docs/runbooks/NexusBusy.md: reads only ten lines a pod: kubectl logs -l a=b --since=5m",
      "docs/runbooks/NexusBusy.md: reads one pod of a Deployment: kubectl logs deployment/x",
    ]);
  });

  test("a log event nobody writes", () => {
    expect(runbook("```sh\nkubectl logs POD | grep -E 'session.closed|session.burnt'\n```")).toEqual([
      "docs/runbooks/NexusBusy.md: looks for log event session.burnt, which nobody writes",
    ]);
    expect(runbook("See log event `session.lost`.")).toEqual([
      "docs/runbooks/NexusBusy.md: looks for log event session.lost, which nobody writes",
    ]);
  });
});

describe("fields and settings that runbooks name", () => {
  const runbook = (text: string) => complaintsOf(withPage("docs/runbooks/NexusBusy.md", aPage("NexusBusy").replace("Send fewer.", text)));

  test("whole, from the middle, with a value, below what is free", () => {
    const fine = "`spec.limits.frameBytes`, `limits.frameBytes: 5`, `spec.pods.resources.limits.memory`, `pods.resources.limits.cpu`";
    expect(runbook(`${fine}, \`status.ready\`, \`NEXUS_PROCESSES\`, \`NEXUS_OPERATOR_WORKERS\`, \`tls.key\`, \`session.closed\`.`)).toEqual(
      [],
    );
  });

  test.each([
    ["`spec.limits.frameByte`", "names the field spec.limits.frameByte, which no resource has"],
    ["`limits.size: 5`", "names the field limits.size, which no resource has"],
    ["`status.reddy`", "names the field status.reddy, which no resource has"],
    ["`pods.resource.limits.memory`", "names the field pods.resource.limits.memory, which no resource has"],
    ["Set NEXUS_PROCESS.", "names the setting NEXUS_PROCESS, which no server knows"],
  ])("%s", (text, complaint) => {
    expect(runbook(text)).toEqual([`docs/runbooks/NexusBusy.md: ${complaint}`]);
  });
});

describe("labels of a result", () => {
  const catalogue = catalogueOf(METRICS);
  test.each([
    ["nexus_sessions", "container endpoint instance job namespace nexus_cluster pod transport"],
    ["sum(nexus_sessions)", ""],
    ["sum by (pod) (nexus_sessions)", "pod"],
    ["sum without (transport, pod, container, endpoint, instance, job) (nexus_sessions)", "namespace nexus_cluster"],
    ["topk(3, sum by (pod, transport) (nexus_sessions))", "pod transport"],
    ["sum by (pod, transport) (nexus_sessions) / on (pod) group_left () sum by (pod) (nexus_sessions)", "pod transport"],
    ["sum by (pod) (nexus_sessions) * on (pod) group_left (job) max by (pod, job) (nexus_sessions)", "job pod"],
    ["sum by (pod) (nexus_sessions) > 3 unless on (pod) nexus_sessions", "pod"],
    ["sum by (pod) (nexus_sessions) or vector(0)", "pod"],
    ["histogram_quantile(0.9, sum by (pod, le) (rate(nexus_wait_seconds_bucket[5m])))", "pod"],
    ['label_replace(sum by (pod) (nexus_sessions), "node", "$1", "pod", "(.*)")', "node pod"],
    ['absent(nexus_sessions{pod="a",job=~"b"} == 1)', ""],
    ['absent(nexus_sessions{pod="a",job=~"b"})', "pod"],
    ['count_values("size", sum by (pod) (nexus_sessions))', "size"],
    ["time() - max(nexus_sessions)", ""],
    ["max_over_time(sum by (pod) (nexus_sessions)[10m:1m]) offset 5m", "pod"],
  ])("%s", (expr, expected) => {
    const { labels, complaints } = readExpression(expr, catalogue);
    expect(complaints).toEqual([]);
    expect([...(labels?.possible ?? ["unknown"])].sort().join(" ")).toBe(expected);
  });
});
