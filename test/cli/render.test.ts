// Why: a rendering is compared with the last one: what differs has to be a change of somebody's, never the time of day.
import { expect, test } from "bun:test";
import { renderObjects } from "@nexus/cli/render/objects.ts";
import { aCluster } from "../operator/bundle/fixtures.ts";
import { CONTEXT } from "../operator/desired/fixtures.ts";

test("a cluster with a broker of its own is rendered the same at any time, and shows no password", async () => {
  const render = async () => (await renderObjects([aCluster({ redis: { mode: "Managed" }, replicas: 2 })], CONTEXT)).objects;
  const first = await render();
  expect(await render()).toEqual(first);
  const kinds = first.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  for (const one of ["StatefulSet live-redis", "Service live-redis", "ConfigMap live-redis", "Secret live-redis-connection"])
    expect(kinds).toContain(one);
  const users = JSON.stringify(first.find(({ metadata }) => metadata.name === "live-redis-users"));
  expect(users).not.toMatch(/"(password|users\.acl)":"[A-Za-z0-9+/]{20,}=*"/);
});
