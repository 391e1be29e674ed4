// Why: a rule file is loaded whole or not at all, so what is printed for somebody's Prometheus has to be one that promtool takes.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "@nexus/cli/main.ts";
import { parse } from "yaml";
import { ensurePackages } from "../support/apt.ts";
import { promtool } from "../support/monitoring/promtool.ts";

const JOB = "nexus-system/nexus-operator";
const CLUSTERS = `
apiVersion: nexus.dev/v1alpha1
kind: NexusCluster
metadata: { name: live, namespace: shop }
spec: { redis: { mode: Managed }, monitoring: { slo: { deliveryPercent: "99.5" } } }
---
apiVersion: nexus.dev/v1alpha1
kind: NexusCluster
metadata: { name: live }
spec: { redis: { mode: None } }
`;

const missing = await ensurePackages(["prometheus"]);
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-rules-"));
  await Bun.write(join(folder, "clusters.yaml"), CLUSTERS);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function rules(...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    ...{ program: "nexus", env: {}, colour: false, input: async () => "" },
    ...{ out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) },
  };
  const code = await main(["rules", ...args], io);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

type File = {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly { readonly expr: string; readonly annotations?: object }[];
  }[];
};

test("every cluster in the files has its rules, under a name of its own, and the operator when asked for", async () => {
  const { code, out } = await rules("--namespace", "games", "--operator-job", JOB, folder);
  expect(code).toBe(0);
  const { groups } = parse(out) as File; // what the command prints
  const names = groups.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of ["shop/live/nexus-slo", "shop/live/nexus-redis", "games/live/nexus-fleet", `${JOB}/nexus-operator`])
    expect(names).toContain(name);
  expect(names).not.toContain("games/live/nexus-redis");
  const burning = groups.find(({ name }) => name === "shop/live/nexus-slo")?.rules[0]?.expr;
  expect(burning).toContain('{namespace="shop",nexus_cluster="live"} > 0.072');
});

test("runbooks are where they are said to be", async () => {
  const { out } = await rules("--operator-job", JOB, "--runbook-base-url", "https://wiki.example/nexus");
  expect((parse(out) as File).groups[0]?.rules[0]?.annotations).toMatchObject({
    runbook_url: "https://wiki.example/nexus/NexusOperatorHasNoLeader",
  });
});

test.skipIf(missing !== undefined)("Prometheus takes it as it is printed", async () => {
  const { out } = await rules("--operator-job", JOB, folder);
  const file = join(folder, "printed.rules");
  await Bun.write(file, out);
  expect(await promtool(["check", "rules", file])).toMatchObject({ isOk: true });
});

test("files without a cluster, and nothing at all, are a wrong call", async () => {
  const empty = await mkdtemp(join(tmpdir(), "nexus-rules-"));
  await Bun.write(join(empty, "map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
  expect(await rules(empty)).toMatchObject({ code: 2, err: expect.stringContaining("no NexusCluster") });
  expect(await rules()).toMatchObject({ code: 2, err: expect.stringContaining("--operator-job") });
  await rm(empty, { recursive: true });
});
