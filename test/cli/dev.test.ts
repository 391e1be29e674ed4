// Why: `npm start` is the first thing anybody sees of this product. What it promises on its first screen is tested here from
// outside, with good files and bad ones.
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mintToken } from "@nexus/cli/jwt.ts";
import { NexusClient } from "@nexus/client/client.ts";
import { eventually } from "../support/eventually.ts";
import { nexus, post, quickstartCopy, type Ready, Running, startDev } from "./dev-process.ts";

const send = (ready: Ready, body: object = { template_id: "order-shipped", variables: { order: "A-1" } }) =>
  post(ready, "send", { target_user_id: "ada", ...body });
const tokenFor = (ready: Ready, user: string, tenant = 0) => {
  const { jwt_secret: secret = "", tenant_id: id = "" } = ready.tenants[tenant] ?? {};
  return mintToken(secret, { sub: user, tenant_id: id }, { now: Date.now(), lifetimeSeconds: 600 });
};

/** What the example's template renders to. */
async function shown(ready: Ready): Promise<Record<string, unknown>> {
  const headers = { "x-api-key": ready.tenants[0]?.api_key ?? "", "content-type": "application/json" };
  const body = JSON.stringify({ variables: { order: "A-1", name: "Ada" } });
  const answer = await fetch(`${ready.url}/api/v1/templates/order-shipped/preview`, { method: "POST", headers, body });
  return ((await answer.json()) as { payload: Record<string, unknown> }).payload; // the example's payload is an object
}

async function listener(ready: Ready, user = "ada") {
  const client = new NexusClient({ url: ready.url, token: tokenFor(ready, user), backoff: { baseMs: 20, maxMs: 50 } });
  const got: unknown[] = [];
  client.on("notification", ({ payload }) => void got.push(payload));
  await client.connect();
  return { client, got, [Symbol.dispose]: () => client.close() };
}

describe("what it prints", () => {
  test("with --output json one line on standard output, made for scripts", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    expect(dev.ready).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      ops_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      tenants: [{ tenant_id: "default", api_key: expect.stringMatching(/^nxk_/), jwt_secret: expect.stringMatching(/^.{32,}$/) }],
      platform_key: expect.stringMatching(/^nxp_/),
      pid: dev.child.pid,
    });
    expect((await fetch(`${dev.ready.ops_url}/ready`)).status).toBe(200);
    expect((await fetch(`${dev.ready.url}/metrics`)).status).toBe(200);
    await dev.end();
    expect(dev.out.trim().split("\n")).toHaveLength(1);
  });

  test("without it a screen whose curl line and listen line work when pasted", async () => {
    using folder = quickstartCopy();
    await using dev = new Running(["dev", folder.path, "--port", "0"]);
    const screen = await dev.says("out", "Ctrl-C ends it.");
    expect(screen).toMatch(/Console +http:\/\/127\.0\.0\.1:\d+\/console/);
    const curl = /^ {2}(curl [\s\S]*?)\n\n/m.exec(screen)?.[1] ?? "";
    const listen = /npm run --silent nexus -- (listen .*)/.exec(screen)?.[1]?.split(" ") ?? [];
    await using ada = new Running([...listen, "--count", "1"]);
    await ada.says("err", "connected");
    const shell = Bun.spawnSync(["sh", "-c", curl]);
    expect(JSON.parse(shell.stdout.toString())).toMatchObject({ success: true, delivered_to: 1 });
    expect(await ada.says("out", "order.shipped")).toContain("Hello there, order A-1 is on its way");
  });
});

describe("how it runs", () => {
  test("opens nothing but loopback", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    const listening = listeningAddresses(dev.child.pid);
    expect(listening.length).toBe(2);
    for (const address of listening) expect(address).toBe("0100007F");
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it cleanly and quickly, and tells who is connected", async (signal) => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    using ada = await listener(dev.ready);
    const shutdown = Promise.withResolvers<number>();
    ada.client.on("shutdown", ({ reconnectAfterSeconds }) => shutdown.resolve(reconnectAfterSeconds));
    const { code, ms } = await dev.end(signal);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(4000); // who is asked to let people go over seconds takes longer: see below
    expect(await shutdown.promise).toBe(1);
  });

  test("Ctrl-C, which arrives twice through npm, still ends it cleanly", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    dev.child.kill("SIGINT");
    expect((await dev.end("SIGINT")).code).toBe(0);
  });

  test("a drain that was asked for is kept: sessions leave over that time", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path], ["--delivery-drain-seconds", "5", "--delivery-reconnect-jitter-seconds", "0"]);
    using ada = await listener(dev.ready);
    using eve = await listener(dev.ready, "eve");
    expect([ada.client.state, eve.client.state]).toEqual(["connected", "connected"]);
    const { code, ms } = await dev.end();
    expect(code).toBe(0);
    expect(ms).toBeGreaterThan(2000);
    expect(ms).toBeLessThan(8000);
  }, 60_000);

  test("rates are off, and a hundred sends at once all arrive", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    using ada = await listener(dev.ready);
    const statuses = await Promise.all(Array.from({ length: 300 }, async () => (await send(dev.ready)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await eventually("all arrive", () => ada.got.length === 300);
  });

  test("any setting comes by flag or environment; a flag wins", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path, "--limits-body-bytes", "1024"], [], { NEXUS_LIMITS_BODY_BYTES: "4096" });
    expect((await send(dev.ready, { event_type: "e", payload: "x".repeat(2000) })).status).toBe(413);
  });

  test("the port that is taken is named", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    const { port } = new URL(dev.ready.url);
    const second = await nexus(["dev", folder.path, "--port", port]);
    expect(second).toMatchObject({ code: 1, out: "" });
    expect(second.err).toContain(`port ${port} is in use`);
  });

  test("keys change with every start, unless a state folder keeps them; nobody else may read it", async () => {
    using folder = quickstartCopy();
    const state = join(mkdtempSync(join(tmpdir(), "nexus-state-")), "keys");
    try {
      const start = async (args: readonly string[]) => {
        await using dev = await startDev([folder.path], args);
        await dev.end();
        return dev.ready;
      };
      const [first, second, kept, again] = [
        await start([]),
        await start([]),
        await start(["--state", state]),
        await start(["--state", state]),
      ];
      expect(second.tenants).not.toEqual(first.tenants);
      expect({ tenants: again.tenants, platform: again.platform_key }).toEqual({ tenants: kept.tenants, platform: kept.platform_key });
      expect(statSync(join(state, "secrets.json")).mode & 0o777).toBe(0o600);
      writeFileSync(join(state, "secrets.json"), "{");
      const damaged = await nexus(["dev", folder.path, "--port", "0", "--state", state]);
      expect(damaged).toMatchObject({ code: 1 });
      expect(damaged.err).toContain("is damaged");
    } finally {
      rmSync(join(state, ".."), { recursive: true });
    }
  });

  test("a data folder keeps notifications, also when the process is killed, and takes one process at a time", async () => {
    using folder = quickstartCopy();
    const data = join(mkdtempSync(join(tmpdir(), "nexus-data-")), "kept");
    try {
      {
        await using dev = await startDev([folder.path], ["--data", data]);
        expect((await send(dev.ready)).body).toMatchObject({ queued: true });
        const second = await nexus(["dev", folder.path, "--port", "0", "--data", data]);
        expect(second).toMatchObject({ code: 1, out: "" });
        expect(second.err).toContain("in use by another process");
        await dev.end("SIGKILL");
      }
      await using again = await startDev([folder.path], ["--data", data]);
      using ada = await listener(again.ready);
      await eventually("the notification of the first process", () => ada.got.length === 1);
      const confused = await nexus(["dev", folder.path, "--data", data, "--engine", "memory"]);
      expect(confused).toMatchObject({ code: 2 });
      expect(confused.err).toContain("--data");
    } finally {
      rmSync(join(data, ".."), { recursive: true });
    }
  });
});

describe("an edit of a file", () => {
  test("of a template is live within two seconds, and a session feels nothing", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    using ada = await listener(dev.ready);
    const began = performance.now();
    folder.edit("template.yaml", "Hello {{name}}", "Ahoy {{name}}");
    await eventually(
      "the new text",
      async () => {
        await send(dev.ready);
        return JSON.stringify(ada.got.at(-1))?.includes("Ahoy");
      },
      { intervalMs: 20 },
    );
    expect(performance.now() - began).toBeLessThan(2000);
    expect(ada.client.state).toBe("connected");
  });

  test("that breaks a file is told with file and line, and what ran goes on", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    folder.write("template.yaml", readFileSync(join(folder.path, "template.yaml"), "utf8").replace("spec:", "spec: ["));
    await dev.says("err", /template\.yaml:\d+:\d+: /);
    expect((await send(dev.ready)).status).toBe(200);
    folder.write(
      "tenant.yaml",
      readFileSync(join(folder.path, "tenant.yaml"), "utf8").replace("scopes: [publish, read]", "scopes: [publich]"),
    );
    await dev.says("err", /tenant\.yaml:\d+:\d+: spec\.auth\.apiKeys\[0\]\.scopes\[0\]: must be one of publish, read, admin/);
    expect((await send(dev.ready)).status).toBe(200);
  });

  test("that no server could use is told too, and the last good version stays", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    folder.edit("template.yaml", 'title: "Hello', `title: "${"x".repeat(70_000)}`);
    await dev.says("err", "InvalidSpec: spec.payload has 70");
    expect((await send(dev.ready)).status).toBe(200);
  });

  test("whose Liquid does not compile is told with file, line and field, and one that compiles is rendered", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    const good = readFileSync(join(folder.path, "template.yaml"), "utf8").replace("eventType:", "engine: Liquid\n  eventType:");
    folder.write("template.yaml", good.replace('"Hello {{name}}', '"Hello {% if name %}{{name}}'));
    await dev.says("err", /template\.yaml:\d+:\d+: spec\.payload\.title: tag \{% if name %\} not closed \(line 1, column 7\)/);
    expect((await send(dev.ready)).status).toBe(200);
    folder.write("template.yaml", good.replace('"Hello {{name}}', '"Hello {{ name | upcase }}'));
    await eventually("Liquid is rendered", async () => (await shown(dev.ready)).title === "Hello ADA, order A-1 is on its way");
  });

  test("a file that is removed, removes; one that is added, adds", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    folder.remove("template.yaml");
    await dev.says("err", "nexus: reloaded");
    await eventually("the template is gone", async () => (await send(dev.ready)).status === 400);
    folder.write(
      "more.yaml",
      "apiVersion: nexus.dev/v1alpha1\nkind: Template\nmetadata: {name: hi}\nspec: {tenantRef: {name: default}, eventType: hi, payload: {a: 1}}\n",
    );
    await eventually("the new one is there", async () => (await send(dev.ready, { template_id: "hi" })).status === 200);
  });

  test("of a tenant's state ends its sessions: suspended means now", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    using ada = await listener(dev.ready);
    folder.edit("tenant.yaml", "spec:", "spec:\n  suspended: true");
    await eventually("the session ended for good", () => ada.client.state === "closed");
  });
});

describe("files", () => {
  test("a broken one at the start hides no other", async () => {
    using folder = quickstartCopy();
    folder.write("broken.yaml", "kind: [\n");
    folder.write("unknown.yaml", "apiVersion: nexus.dev/v1alpha1\nkind: Tennant\nmetadata: {name: x}\nspec: {}\n");
    await using dev = await startDev([folder.path]);
    expect(dev.err).toContain(`${folder.path}/broken.yaml:`);
    expect(dev.err).toContain(`${folder.path}/unknown.yaml:2:1: kind: must be one of NexusCluster, Tenant, Template`);
    expect((await send(dev.ready)).status).toBe(200);
  });

  test("Secrets in them are used as they are, and tenant default is first", async () => {
    using folder = quickstartCopy();
    folder.write("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: quickstart-jwt}\nstringData: {key: from-the-file}\n");
    folder.write(
      "a.yaml",
      "apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {clusterRef: {name: quickstart}}\n",
    );
    await using dev = await startDev([folder.path]);
    expect(dev.ready.tenants.map(({ tenant_id: id }) => id)).toEqual(["default", "acme"]);
    expect(dev.ready.tenants[0]?.jwt_secret).toBe("from-the-file");
    // acme names neither issuer nor key: it is given both.
    const acme = new NexusClient({ url: dev.ready.url, token: tokenFor(dev.ready, "eve", 1) });
    await acme.connect();
    const own = { "x-api-key": dev.ready.tenants[1]?.api_key ?? "" };
    expect((await post(dev.ready, "send", { target_user_id: "eve", event_type: "e", payload: 1 }, own)).body).toMatchObject({
      delivered_to: 1,
    });
    const platform = { "x-api-key": dev.ready.platform_key, "x-tenant-id": "acme" };
    expect((await post(dev.ready, "send", { target_user_id: "eve", event_type: "e", payload: 1 }, platform)).body).toMatchObject({
      delivered_to: 1,
    });
    acme.close();
  });

  test("a Tenant of a cluster that is not there is told why; no cluster at all runs with defaults", async () => {
    using folder = quickstartCopy();
    folder.write(
      "lost.yaml",
      "apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: lost}\nspec: {clusterRef: {name: elsewhere}}\n",
    );
    await using dev = await startDev([folder.path]);
    expect(dev.err).toContain("Tenant default/lost: ReferenceNotPermitted");
    folder.remove("cluster.yaml");
    await dev.says("err", "no NexusCluster");
    expect((await send(dev.ready)).status).toBe(200);
  });

  test("one that cannot be read is told, where rights apply", async () => {
    if (process.getuid?.() === 0) return expect(process.getuid()).toBe(0); // root reads everything
    using folder = quickstartCopy();
    folder.write("closed.yaml", "");
    chmodSync(join(folder.path, "closed.yaml"), 0);
    await using dev = await startDev([folder.path]);
    expect(dev.err).toContain("closed.yaml: cannot be read");
  });
});

/** Local addresses of this process's listening TCP sockets, as /proc writes them (Linux). */
function listeningAddresses(pid: number): string[] {
  const inodes = new Set(
    Bun.spawnSync(["sh", "-c", `ls -l /proc/${pid}/fd`])
      .stdout.toString()
      .match(/socket:\[(\d+)\]/g)
      ?.map((text) => text.slice(8, -1)),
  );
  return ["tcp", "tcp6"].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, "utf8")
      .split("\n")
      .slice(1)
      .flatMap((line) => {
        const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
        return state === "0A" && inodes.has(inode) ? [local.split(":")[0] ?? ""] : [];
      }),
  );
}
