// Why: definitions of others are worth something only while they are the pinned ones, and while the page that promises releases
// names those that are tried.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { moduleSum, moduleVersion } from "../support/cluster/go-modules.ts";
import { PUBLISHED, publishedVersion } from "../support/kube/published-crds.ts";

const INSTALL = join(import.meta.dir, "../../docs/install.md");
const PROJECTS = [
  ["prometheus-operator", "monitoring.coreos.com"],
  ["Gateway API", "gateway.networking.k8s.io"],
  ["cert-manager", "cert-manager.io"],
  ["KEDA", "keda.sh"],
] as const;

test.each(PROJECTS)("docs/install.md names the releases of %s that are tried", async (project, group) => {
  const row = (await Bun.file(INSTALL).text()).split("\n").find((line) => line.startsWith(`| ${project} |`));
  const cells = row?.split("|").map((cell) => cell.trim());
  expect(cells?.slice(3, 5)).toEqual([publishedVersion("oldest", group), publishedVersion("newest", group)]);
});

test("every group of ours that others define is one of them", () => {
  expect(new Set(PUBLISHED.map((name) => name.slice(name.indexOf(".") + 1)))).toEqual(new Set(PROJECTS.map(([, group]) => group)));
});

test("what go.mod does not require or go.sum does not pin is nobody's definition", () => {
  expect(moduleSum("crds-oldest", "github.com/kedacore/keda/v2")).toMatch(/^h1:[A-Za-z0-9+/]{43}=$/);
  expect(() => moduleVersion("crds-oldest", "github.com/kedacore/keda")).toThrow("does not require");
  expect(() => moduleSum("kstatus", "k8s.io/nothing")).toThrow("does not require");
});
