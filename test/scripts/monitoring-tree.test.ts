// Why: the checks on small worlds prove that they can complain; this proves that they are shown the real one: the tree passes, and
// a tree with one thing missing is refused as CI would refuse it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complaintsOf } from "../../scripts/check/monitoring/check.ts";
import { loadWorld } from "../../scripts/check/monitoring/load.ts";
import { alertsOf } from "../../scripts/check/monitoring/rules.ts";
import type { World } from "../../scripts/check/monitoring/world.ts";
import { checkMonitoring } from "../../scripts/check/monitoring.ts";

const root = join(import.meta.dir, "../..");
let world: World;
/** What is wrong already: only the first test is about that, the others about what they break. */
let before: ReadonlySet<string>;
const fresh = (lines: readonly string[]) => lines.filter((line) => !before.has(line));
/** The tree again, with a copy of its pages, and that copy once more to take from: somebody may be writing in the tree. */
let copy: string;
let pages: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "nexus-tree-"));
  pages = await mkdtemp(join(tmpdir(), "nexus-pages-"));
  for (const name of await readdir(root)) if (name !== "docs") await symlink(join(root, name), join(copy, name));
  await cp(join(root, "docs"), pages, { recursive: true });
  await cp(pages, join(copy, "docs"), { recursive: true });
  world = { ...(await loadWorld(copy)), exists: (path) => existsSync(join(root, path)) };
  before = new Set(complaintsOf(world));
  await rm(join(copy, "docs"), { recursive: true });
});
afterAll(async () => {
  for (const folder of [copy, pages]) await rm(folder, { recursive: true });
});

/** The check of the tree with its pages as `change` leaves them, run by `run`; the lines it has not for the tree itself. */
async function checked(
  change: (docs: string) => Promise<unknown>,
  run: Run = inHere,
): Promise<{ readonly passed: boolean; readonly lines: readonly string[] }> {
  const docs = join(copy, "docs");
  await cp(pages, docs, { recursive: true });
  try {
    await change(docs);
    const { passed, lines } = await run(copy);
    return { passed, lines: fresh(lines) };
  } finally {
    await rm(docs, { recursive: true });
  }
}

type Run = (tree: string) => Promise<{ readonly passed: boolean; readonly lines: readonly string[] }>;

const inHere: Run = async (tree) => {
  const lines: string[] = [];
  return { passed: await checkMonitoring(tree, (line) => lines.push(line)), lines };
};

/** As CI does. */
const asProgram: Run = async (tree) => {
  const child = Bun.spawn([process.execPath, "scripts/check/monitoring.ts", tree], { cwd: root, stderr: "pipe" });
  const text = await new Response(child.stderr).text();
  return { passed: (await child.exited) === 0, lines: text.split("\n").filter((line) => line !== "") };
};

const edited = async (path: string, from: RegExp | string, to: string) => {
  const before = await Bun.file(path).text();
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  await Bun.write(path, after);
};

test("the tree passes, and is all of it", () => {
  expect([...before]).toEqual([]);
  expect(alertsOf(world).size).toBeGreaterThanOrEqual(80);
  expect(world.dashboards.length).toBeGreaterThanOrEqual(5);
  expect(world.pages.size).toBeGreaterThan(120);
  expect(world.metrics.length).toBeGreaterThan(100);
});

test("a copy of the tree is judged as the tree is", async () => {
  expect(await checked(async () => undefined)).toEqual({ passed: before.size === 0, lines: [] });
});

test("an alert's page is removed", async () => {
  const { passed, lines } = await checked((docs) => rm(join(docs, "runbooks/NexusPurgeFails.md")), asProgram);
  expect(passed).toBe(false);
  expect(lines).toContain('rules of cluster "full": NexusPurgeFails has no page docs/runbooks/NexusPurgeFails.md');
  expect(lines.filter((line) => !line.includes("NexusPurgeFails"))).toEqual([]);
});

test("a page is left behind by its alert", async () => {
  const { passed, lines } = await checked((docs) => cp(join(docs, "runbooks/NexusPodDown.md"), join(docs, "runbooks/NexusPodsDown.md")));
  expect({ passed, lines }).toEqual({ passed: false, lines: ["docs/runbooks/NexusPodsDown.md: no alert has this name"] });
});

test("a metric is taken out of the reference", async () => {
  const { passed, lines } = await checked((docs) => edited(join(docs, "reference/metrics.md"), /^\| `nexus_sessions` .*\n/m, ""));
  expect({ passed, lines }).toEqual({ passed: false, lines: ["docs/reference/metrics.md: nexus_sessions is exported and not there"] });
});

test("a runbook's link leads nowhere", async () => {
  const { passed, lines } = await checked((docs) =>
    edited(join(docs, "runbooks/NexusPodDown.md"), "(../operations.md#ports-and-probes)", "(../operations.md#ports)"),
  );
  expect({ passed, lines }).toEqual({
    passed: false,
    lines: ["docs/runbooks/NexusPodDown.md: ../operations.md#ports leads nowhere: docs/operations.md has no such heading"],
  });
});

test("a heading is renamed that runbooks link to", async () => {
  const { passed, lines } = await checked((docs) => edited(join(docs, "tenancy.md"), "## Quotas", "## Limits"));
  expect(passed).toBe(false);
  expect(lines).toContain("docs/runbooks/NexusTenantOverQuota.md: ../tenancy.md#quotas leads nowhere: docs/tenancy.md has no such heading");
});

test("a promtool case of one alert is dropped", () => {
  const cases = world.cases.map((one) => (one.alert === "NexusRedisDown" ? { ...one, missing: undefined } : one));
  expect(fresh(complaintsOf({ ...world, cases }))).toEqual(['NexusRedisDown has no promtool test "missing"']);
});

test("a metric is renamed that rules, panels, pages and the reference name", () => {
  const metrics = world.metrics.map((one) => (one.name === "nexus_redis_breaker_state" ? { ...one, name: "nexus_redis_breaker" } : one));
  const complaints = complaintsOf({ ...world, metrics });
  expect(complaints).toContain(`rules of cluster "full": NexusRedisBreakerOpen names nexus_redis_breaker_state, which no registry exports`);
  expect(complaints).toContain("docs/reference/metrics.md: nexus_redis_breaker is exported and not there");
  expect(complaints.some((one) => /^dashboard .* names nexus_redis_breaker_state, which no registry exports$/.test(one))).toBe(true);
  expect(complaints.some((one) => one.startsWith("docs/runbooks/NexusRedisBreakerOpen.md: "))).toBe(true);
});

test("every metric that a rule or a panel names is missed when it is not exported", () => {
  const named = new Set(
    complaintsOf({ ...world, metrics: [] }).flatMap((one) => one.match(/names (\w+), which no registry exports/)?.[1] ?? []),
  );
  expect(named.size).toBeGreaterThan(60);
});
