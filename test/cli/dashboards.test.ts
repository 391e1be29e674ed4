// Why: files for somebody's Grafana are those that the operator and the chart ship, byte for byte, and nothing else is touched.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "@nexus/cli/main.ts";

const CLUSTERS = `
apiVersion: nexus.dev/v1alpha1
kind: NexusCluster
metadata: { name: live, namespace: shop }
spec: { redis: { mode: Managed } }
---
apiVersion: nexus.dev/v1alpha1
kind: NexusCluster
metadata: { name: live }
spec: { redis: { mode: None } }
`;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-dashboards-"));
  await Bun.write(join(folder, "in/clusters.yaml"), CLUSTERS);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function dashboards(...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    ...{ program: "nexus", env: {}, colour: false, input: async () => "" },
    ...{ out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) },
  };
  const code = await main(["dashboards", ...args], io);
  return { code, out, err: err.join("\n") };
}

test("every cluster has its pages, beside those of the installation, and each path is printed", async () => {
  const place = join(folder, "out");
  await Bun.write(join(place, "others.json"), "{}");
  const { code, out } = await dashboards("--folder", place, "--namespace", "games", join(folder, "in"));
  expect(code).toBe(0);
  const names = [
    ...["games.live.nexus-cluster.json", "games.live.nexus-tenants.json", "nexus-operator.json", "nexus-overview.json"],
    ...["shop.live.nexus-cluster.json", "shop.live.nexus-redis.json", "shop.live.nexus-tenants.json"],
  ];
  expect(out.toSorted()).toEqual(names.map((name) => join(place, name)));
  expect((await readdir(place)).toSorted()).toEqual([...names, "others.json"].toSorted());
  const chart = join(import.meta.dir, "../../charts/nexus/files/dashboards/nexus-overview.json");
  expect(await Bun.file(join(place, "nexus-overview.json")).text()).toBe(await Bun.file(chart).text());
  expect(await Bun.file(join(place, "shop.live.nexus-cluster.json")).json()).toMatchObject({ title: "Nexus / shop / live" });
});

test("written again they are the same, with runbooks where they are said to be", async () => {
  const place = join(folder, "again");
  await dashboards("--folder", place);
  const before = await Bun.file(join(place, "nexus-operator.json")).text();
  await dashboards("--folder", place);
  expect(await Bun.file(join(place, "nexus-operator.json")).text()).toBe(before);
  await dashboards("--folder", place, "--runbook-base-url", "https://wiki.example/nexus/");
  expect(await Bun.file(join(place, "nexus-operator.json")).text()).toContain('"https://wiki.example/nexus/NexusOperatorDown"');
});

test("no folder, and files without a cluster, are a wrong call that writes nothing", async () => {
  const place = join(folder, "nothing");
  await Bun.write(join(folder, "empty/map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n");
  expect(await dashboards()).toMatchObject({ code: 2, err: expect.stringContaining("--folder") });
  expect(await dashboards("--folder", place, join(folder, "empty"))).toMatchObject({
    code: 2,
    err: expect.stringContaining("no NexusCluster"),
  });
  await Bun.write(join(folder, "wrong/cluster.yaml"), CLUSTERS.replaceAll("redis:", "radis:"));
  expect(await dashboards("--folder", place, join(folder, "wrong"))).toMatchObject({ code: 1, err: expect.stringContaining("radis") });
  expect(await Bun.file(join(place, "nexus-overview.json")).exists()).toBe(false);
});
