// Why: a rendering is compared with the last one: what differs has to be a change of somebody's, never the time of day.
import { expect, test } from "bun:test";
import { join } from "node:path";
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

test("a reader who takes its time gets all of it", async () => {
  const program = join(import.meta.dir, "../../cli/src/main.ts");
  const example = join(import.meta.dir, "../../examples/quickstart");
  const wholeFile = Bun.spawnSync([process.execPath, program, "render", example]).stdout.length;
  expect(wholeFile).toBeGreaterThan(3 * 65_536); // a pipe holds one of these
  const slow = `"$0" "$1" render "$2" | (sleep 0.3; wc -c)`; // slow on purpose: the program has written all it has to
  const piped = () => Number(Bun.spawnSync(["sh", "-c", slow, process.execPath, program, example]).stdout.toString());
  expect([piped(), piped(), piped()]).toEqual([wholeFile, wholeFile, wholeFile]); // it was lost five times in six
});
