import { expect, test } from "bun:test";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inClusterAccess, kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { retryAfterSeconds } from "@nexus/operator/kube/answer.ts";
import { ContestTracker } from "@nexus/operator/kube/contest.ts";
import { createEventRecorder } from "@nexus/operator/kube/events.ts";
import { LineSplitter } from "@nexus/operator/kube/lines.ts";
import { collectionPath, objectPath, withQuery } from "@nexus/operator/kube/paths.ts";
import { MemoryStore } from "@nexus/operator/kube/store.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isRetryable, KubeError } from "@nexus/operator/loop/kube-error.ts";
import fc from "fast-check";
import { ManualClock } from "../../support/kube/manual-clock.ts";

async function folder() {
  const path = await mkdtemp(join(tmpdir(), "nexus-access-"));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true }) };
}

test("lines come out whole however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), fc.array(fc.nat(7)), (texts, cuts) => {
      const lines = texts.map((text) => text.replaceAll("\n", "").toWellFormed());
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
      const splitter = new LineSplitter(1_000_000);
      const out: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = 1 + (cuts[i % Math.max(1, cuts.length)] ?? 3);
        splitter.push(bytes.slice(at, at + size), (line) => out.push(line));
        at += size;
      }
      // A byte order mark is dropped by the decoder; JSON never starts with one.
      expect(out).toEqual(lines.map((line) => line.replace(/^\uFEFF/, "")).filter((line) => line !== ""));
      expect(splitter.pendingBytes).toBe(0);
    }),
  );
});

test("a name never leaves its segment of a path, and an empty one is refused", () => {
  expect(objectPath({ kind: KINDS.Deployment, namespace: "ns", name: "a" }, "scale")).toBe(
    "/apis/apps/v1/namespaces/ns/deployments/a/scale",
  );
  expect(objectPath({ kind: KINDS.Pod, namespace: "n/../x", name: "a?b#c/d" })).toBe("/api/v1/namespaces/n%2F..%2Fx/pods/a%3Fb%23c%2Fd");
  expect(objectPath({ kind: KINDS.Namespace, name: "ns" })).toBe("/api/v1/namespaces/ns");
  expect(collectionPath(KINDS.Secret, undefined)).toBe("/api/v1/secrets");
  for (const name of ["", ".", ".."]) expect(() => objectPath({ kind: KINDS.Pod, namespace: "ns", name })).toThrow(TypeError);
  expect(() => objectPath({ kind: KINDS.Pod, name: "a" })).toThrow(TypeError);
  expect(withQuery("/x", { a: "b c", d: undefined, e: true })).toBe("/x?a=b+c&e=true");
});

test("Retry-After is read as whole seconds and nothing else", () => {
  expect(["5", " 7 ", "-1", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "99999999", null].map(retryAfterSeconds)).toEqual([
    ...[5, 7, undefined, undefined, undefined, undefined, undefined],
  ]);
});

test("says which failures are worth repeating unchanged", () => {
  const of = (status: number, reason: string) => isRetryable(new KubeError({ status, reason, message: "" }));
  const yes = [
    of(0, "Timeout"),
    of(0, "Network"),
    of(409, "Conflict"),
    of(410, "Expired"),
    of(429, ""),
    of(500, ""),
    of(403, ""),
    of(401, ""),
  ];
  expect(yes.every(Boolean)).toBe(true);
  const no = [
    of(0, "Malformed"),
    of(400, ""),
    of(404, ""),
    of(409, "AlreadyExists"),
    of(413, ""),
    of(422, "Invalid"),
    isRetryable(new Error("x")),
  ];
  expect(no.some(Boolean)).toBe(false);
});

test("a pod's service account is read from its files each time", async () => {
  await using at = await folder();
  for (const [name, text] of Object.entries({ "ca.crt": "CA", token: "one\n", namespace: "home" }))
    await writeFile(join(at.path, name), text);
  const access = await inClusterAccess({ host: "fd00::1", port: "443", root: at.path });
  expect([access.server, access.namespace]).toEqual(["https://[fd00::1]:443", "home"]);
  expect(await access.credentials()).toEqual({ tls: { ca: "CA" }, headers: { Authorization: "Bearer one" } });
  await writeFile(join(at.path, "token"), "two");
  expect((await access.credentials()).headers).toEqual({ Authorization: "Bearer two" });
  await rm(join(at.path, "token"));
  await expect(access.credentials()).rejects.toThrow("ENOENT");
});

test("a kubeconfig's users are understood: token, token file, basic, certificate, exec plugin; and read anew each time", async () => {
  await using at = await folder();
  const path = join(at.path, "config");
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const plugin = join(at.path, "plugin");
  const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token: "from-plugin" } };
  await writeFile(plugin, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`);
  await chmod(plugin, 0o755);
  await writeFile(join(at.path, "token"), "from-file\n");
  const cluster = { server: "https://example.test:6443/", "certificate-authority-data": base64("CA"), "tls-server-name": "api.internal" };
  const credentialsOf = async (user: object, more: object = {}) => {
    const config = {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "c" },
      clusters: [{ name: "c", cluster: { ...cluster, ...more } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u", namespace: "team" } }],
      users: [{ name: "u", user }],
    };
    await writeFile(path, JSON.stringify(config));
    return await kubeconfigAccess(path);
  };
  const token = await credentialsOf({ token: "t" });
  expect([token.server, token.namespace]).toEqual(["https://example.test:6443", "team"]);
  expect(await token.credentials()).toEqual({ tls: { ca: "CA", serverName: "api.internal" }, headers: { Authorization: "Bearer t" } });
  const file = await credentialsOf({ tokenFile: "token" });
  expect((await file.credentials()).headers).toEqual({ Authorization: "Bearer from-file" });
  await writeFile(join(at.path, "token"), "rotated");
  expect((await file.credentials()).headers).toEqual({ Authorization: "Bearer rotated" });
  const basic = await credentialsOf({ username: "a", password: "b" });
  expect((await basic.credentials()).headers).toEqual({ Authorization: `Basic ${base64("a:b")}` });
  const certificate = await credentialsOf({ "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") });
  expect((await certificate.credentials()).tls).toEqual({ ca: "CA", cert: "CERT", key: "KEY", serverName: "api.internal" });
  const exec = await credentialsOf({ exec: { apiVersion: "client.authentication.k8s.io/v1", command: plugin } });
  expect((await exec.credentials()).headers).toEqual({ Authorization: "Bearer from-plugin" });
  const skip = await credentialsOf({ token: "t" }, { "insecure-skip-tls-verify": true, "certificate-authority-data": undefined });
  expect((await skip.credentials()).tls).toEqual({ rejectUnauthorized: false, serverName: "api.internal" });
  await expect(credentialsOf({ token: "t" }, { "proxy-url": "http://proxy" })).rejects.toThrow("proxy");
});

test("a store keeps its indexes in step", () => {
  const store = new MemoryStore<{ tags: string[] }>({ tag: (object) => object.tags });
  const set = (key: string, ...tags: string[]) => store.set(key, { uid: "u", resourceVersion: "1", value: { tags } });
  set("a", "x", "y");
  set("b", "y");
  set("a", "z");
  expect(store.byIndex("tag", "x")).toEqual([]);
  expect(store.byIndex("tag", "y")).toEqual([{ tags: ["y"] }]);
  store.delete("b");
  store.delete("b");
  expect(store.byIndex("tag", "y")).toEqual([]);
  expect(store.byIndex("tag", "z")).toEqual([{ tags: ["z"] }]);
  expect(() => store.byIndex("other", "x")).toThrow("no index");
});

test("the same path found changed three times in ten minutes stops applying, then allows one try every ten minutes", async () => {
  const clock = new ManualClock();
  const contests = new ContestTracker(clock);
  contests.applied("u", "d1");
  expect([contests.found("u", ["a"]), contests.found("u", ["a", "b"])]).toEqual([0, 0]);
  expect(contests.found("other", ["a"])).toBe(0);
  await clock.advance(60_000);
  expect(contests.found("u", ["a"])).toBe(600_000);
  await clock.advance(60_000);
  expect(contests.found("u", ["a"])).toBe(540_000);
  await clock.advance(540_000);
  expect(contests.found("u", ["a"])).toBe(0); // the one try
  contests.applied("u", "d1");
  await clock.advance(1_000);
  expect(contests.found("u", ["a"])).toBe(600_000); // it was put back again
  contests.applied("u", "d2"); // the user changed what is rendered
  expect(contests.found("u", ["a"])).toBe(0);
});

test("differences spread over more than ten minutes, or over different paths, are no contest", async () => {
  const clock = new ManualClock();
  const contests = new ContestTracker(clock);
  for (let i = 0; i < 10; i++) {
    expect(contests.found("u", [`path-${i}`, "slow"])).toBe(0);
    await clock.advance(300_001);
  }
});

test("events are merged, floods are cut per object, and a failure reaches nobody but the hook", async () => {
  const clock = new ManualClock();
  const sent: string[] = [];
  const failures: unknown[] = [];
  let fails = false;
  const answer = async (what: string) => {
    sent.push(what);
    if (fails) throw new KubeError({ status: 500, reason: "InternalError", message: "no" });
  };
  const recorder = createEventRecorder({
    // Only these two verbs are used, and their answers are not.
    api: {
      create: async (_kind, object) => {
        await answer(`create ${object.metadata.namespace}`);
        return object;
      },
      mergePatch: async (_, patch) => {
        await answer(JSON.stringify(patch));
        return patch as never;
      },
    },
    clock,
    controller: "c",
    instance: "i",
    onError: (error) => failures.push(error),
  });
  const note = (name: string, text: string) =>
    ({
      regarding: { apiVersion: "v1", kind: "Pod", metadata: { namespace: "ns", name } },
      type: "Normal",
      reason: "R",
      action: "A",
      note: text,
    }) as const;
  for (let i = 0; i < 20; i++) recorder.record(note("a", "same"));
  await recorder.flush();
  expect(sent).toEqual(["create ns"]);
  for (let i = 0; i < 50; i++) recorder.record(note("a", `different ${i}`));
  recorder.record(note("b", "of another object"));
  await recorder.flush();
  expect(sent).toHaveLength(11); // a burst of 10 for a, one for b
  await clock.advance(60_000);
  fails = true;
  recorder.record(note("b", "fails"));
  recorder.record(note("a", "same"));
  await recorder.flush();
  expect(failures).toHaveLength(2);
  expect(sent.at(-1)).toContain('"count":21');
});
