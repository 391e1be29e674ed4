// Why: what Kubernetes runs inside a managed Redis is run here beside a real one: it starts, answers its probes, learns another
// password without a restart and forgets the old one. Only its folders are others.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATHS } from "@nexus/operator/desired/redis/scripts.ts";
import { redisConfigMap } from "@nexus/operator/desired/redis/settings.ts";
import { type Users, usersSecret } from "@nexus/operator/desired/redis/users.ts";
import { aCluster } from "../operator/bundle/fixtures.ts";
import { CONTEXT } from "../operator/desired/fixtures.ts";
import { diesWithUs } from "../support/dies-with-us.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { openTestLink, outcomeOf } from "../support/redis/link.ts";

let folder = "";
let port = 0;
let child: Bun.Subprocess | undefined;

/** The same text with folders and port of this test. */
function here(text: string): string {
  let out = text.replaceAll('"$cli"', `"$cli" -p ${port}`).replace(/^port \d+$/m, `port ${port}`);
  for (const path of Object.values(PATHS)) out = out.replaceAll(new RegExp(`(?<![\\w-])${path}(?![\\w-])`, "g"), join(folder, path));
  return out;
}

/** In one step, as kubelet does it: a link to another folder. */
async function tell(users: Users): Promise<void> {
  const place = join(folder, `users-${crypto.randomUUID()}`);
  await mkdir(place);
  for (const [key, value] of Object.entries(usersSecret(aCluster(), CONTEXT, users).data)) {
    await Bun.write(join(place, key), Buffer.from(value, "base64"));
  }
  await Bun.$`ln -s ${place} ${place}.link`;
  await rename(`${place}.link`, join(folder, PATHS.users));
}

async function start(): Promise<void> {
  child = Bun.spawn(diesWithUs(["sh", join(folder, PATHS.config, "start.sh")]), { stdout: "ignore", stderr: "inherit" });
  await eventually("it lives", async () => (await probe("live")) === 0);
}

async function probe(name: "ready" | "live"): Promise<number> {
  return (await Bun.$`sh ${join(folder, PATHS.config, `${name}.sh`)}`.nothrow().quiet()).exitCode;
}

const open = (password: string) => {
  const credentials = {
    username: () => undefined,
    password: () => password || undefined,
    sentinelPassword: () => undefined,
    tls: () => undefined,
  };
  return openTestLink({ addresses: [`127.0.0.1:${port}`], credentials });
};

async function opens(password: string): Promise<boolean> {
  const said = await outcomeOf(open(password).then((opened) => opened.link.close()));
  if (said !== "ok") expect(said).toContain("refused the credentials");
  return said === "ok";
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-managed-"));
  port = await freePort();
  for (const path of [PATHS.config, PATHS.run, PATHS.data]) await mkdir(join(folder, path), { recursive: true });
  for (const [name, text] of Object.entries(redisConfigMap(aCluster({ redis: { mode: "Managed" } }), CONTEXT).data)) {
    await Bun.write(join(folder, PATHS.config, name), here(text));
  }
});
afterAll(async () => {
  child?.kill("SIGKILL");
  await child?.exited;
  await rm(folder, { recursive: true, force: true });
});

test("starts with its users and is ready; nobody comes in without a password", async () => {
  await tell({ password: "first", sinceMs: 0 });
  await start();
  expect(await probe("ready")).toBe(0);
  expect(await opens("first")).toBe(true);
  expect(await opens("")).toBe(false);
});

test("learns another password by its probe: both open, then only the new one, and a connection lives through it", async () => {
  await using opened = await open("first");
  await opened.link.call("SET", "kept", "yes");
  const id = await opened.link.call("CLIENT", "ID");
  await tell({ password: "second", previous: "first", sinceMs: 0 });
  expect(await probe("live")).toBe(0); // not learnt yet: the old one opens
  expect(await opens("second")).toBe(false);
  expect(await probe("ready")).toBe(0);
  expect([await opens("first"), await opens("second")]).toEqual([true, true]);

  await tell({ password: "second", sinceMs: 0 });
  expect(await probe("ready")).toBe(0);
  expect([await opens("first"), await opens("second")]).toEqual([false, true]);
  expect(await opened.link.call("CLIENT", "ID")).toBe(id);
});

test("with passwords it never heard of it is neither ready nor alive; a restart loads them", async () => {
  await tell({ password: "third", sinceMs: 0 });
  expect([await probe("ready"), await probe("live")]).toEqual([1, 1]);
  child?.kill("SIGTERM");
  await child?.exited;
  await start();
  expect(await probe("ready")).toBe(0);
});

test("what was acknowledged survives a kill; a command line and the environment hold no password", async () => {
  await using opened = await open("third");
  for (let at = 0; at < 200; at++) await opened.link.call("SET", `k${at}`, "v");
  const pid = Number(/process_id:(\d+)/.exec(String(await opened.link.call("INFO", "server")))?.[1]);
  for (const name of ["cmdline", "environ"]) expect(await Bun.file(`/proc/${pid}/${name}`).text()).not.toContain("third");
  child?.kill("SIGKILL");
  await child?.exited;
  await start();
  await using after = await open("third");
  expect(await after.link.call("DBSIZE")).toBe(201); // and the one of before
  expect(await after.link.call("CONFIG", "GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
});
