// Why: what servers are told of a broker: all of it in one Secret, none of it in the pod template.
import { describe, expect, test } from "bun:test";
import { podTemplate } from "@nexus/operator/desired/pod-template.ts";
import { connectionSecret, type External, externalConnection, keyPrefix, secretsOf } from "@nexus/operator/desired/redis/connection.ts";
import { digestOf } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "../desired/fixtures.ts";

const PLAIN: External = { topology: "Standalone", addresses: ["r:6379"], database: 0 };
const bytes = (secrets: Readonly<Record<string, string>>) => (namespace: string, name: string, key: string) => {
  const found = secrets[`${namespace}/${name}/${key}`];
  return found === undefined ? undefined : Buffer.from(found);
};
const connect = (external: Partial<External>, secrets: Readonly<Record<string, string>> = {}) =>
  externalConnection({ ...PLAIN, ...external }, "ns", bytes(secrets));
const wired = (external: Partial<External>, over: object = {}): NexusCluster =>
  aCluster({ redis: { mode: "External", external: { ...PLAIN, ...external } }, ...over });

describe("the connection", () => {
  test("of a broker without credentials", () => {
    expect(connect({})).toEqual({ kind: "connection", connection: { topology: "standalone", addresses: ["r:6379"], database: 0 } });
  });

  test("holds credentials and certificates, without the line ends that editors leave", () => {
    const external: Partial<External> = {
      usernameSecretRef: { name: "r", key: "user" },
      passwordSecretRef: { name: "r", key: "password" },
      tls: { caSecretRef: { name: "ca", key: "ca.crt" }, clientSecretRef: { name: "client" } },
    };
    const secrets = {
      "ns/r/user": "app\n",
      "ns/r/password": "p w\r\n",
      "ns/ca/ca.crt": "CA\n",
      "ns/client/tls.crt": "C",
      "ns/client/tls.key": "K",
    };
    expect(secretsOf({ ...PLAIN, ...external })).toEqual(["ca", "client", "r"]);
    expect(connect(external, secrets)).toMatchObject({
      connection: { username: "app", password: "p w", tls: { ca: "CA", cert: "C", key: "K" } },
    });
  });

  test("talks TLS with the system's authorities when nothing is named", () => {
    expect(connect({ tls: {} })).toMatchObject({ connection: { tls: {} } });
  });

  test("gives Sentinels the password that lies beside the other, if there is one", () => {
    const external: Partial<External> = { topology: "Sentinel", masterName: "main", passwordSecretRef: { name: "r", key: "password" } };
    const secrets = { "ns/r/password": "p" };
    const plain = connect(external, secrets);
    expect(plain).toMatchObject({ connection: { password: "p", masterName: "main" } });
    expect(JSON.stringify(plain)).not.toContain("sentinelPassword");
    expect(connect(external, { ...secrets, "ns/r/sentinel-password": "s" })).toMatchObject({ connection: { sentinelPassword: "s" } });
  });

  test("names every Secret and key that is missing; an empty one is missing too", () => {
    const external: Partial<External> = {
      usernameSecretRef: { name: "r", key: "user" },
      passwordSecretRef: { name: "r", key: "password" },
      tls: { clientSecretRef: { name: "client" } },
    };
    expect(connect(external, { "ns/r/password": "\n", "ns/client/tls.crt": "C" })).toEqual({
      kind: "missing",
      missing: ["Secret r, key user", "Secret r, key password", "Secret client, key tls.key"],
    });
  });

  test("with an address that no server could use is refused by field, not by value", () => {
    expect(connect({ addresses: ["a:b:6379"] })).toEqual({
      kind: "wrong",
      why: "spec.redis.external.addresses.0 is not what a server can use",
    });
  });
});

describe("the pod template", () => {
  const digest = (cluster: NexusCluster) => digestOf(podTemplate(cluster, CONTEXT));

  test("is the same whatever the broker's address, topology and credentials", () => {
    const first = digest(wired({}));
    expect(digest(wired({ addresses: ["other:6380"], database: 3 }))).toBe(first);
    expect(digest(wired({ topology: "Sentinel", masterName: "m", passwordSecretRef: { name: "x", key: "y" }, tls: {} }))).toBe(first);
    expect(digest(aCluster({ redis: { mode: "None" } }))).not.toBe(first);
    expect(digest(aCluster({ redis: { mode: "Managed" } }))).not.toBe(first);
  });

  test("is another one where inboxes move, and the same wherever the address of the database lies", () => {
    const inboxes = (name: string) => wired({}, { storage: { inbox: "Postgres", postgres: { urlSecretRef: { name, key: "url" } } } });
    expect(digest(inboxes("a"))).not.toBe(digest(wired({})));
    expect(digest(inboxes("a"))).toBe(digest(inboxes("b")));
  });

  test("holds no credential, and reserves the names it sets", () => {
    const text = JSON.stringify(podTemplate(wired({ passwordSecretRef: { name: "secret-name", key: "p" } }), CONTEXT));
    expect(text).not.toContain("secret-name");
    expect(text).toContain("/var/run/nexus/redis/connection.json");
  });

  test("leaves the prefix to whoever says one", () => {
    const count = (cluster: NexusCluster) => JSON.stringify(podTemplate(cluster, CONTEXT)).split("NEXUS_REDIS_PREFIX").length - 1;
    expect(count(wired({}))).toBe(1);
    expect(count(wired({}, { pods: { env: [{ name: "NEXUS_REDIS_PREFIX", value: "nexus" }] } }))).toBe(1);
  });
});

test("keys of clusters never meet in one Redis, and their prefix is one the server takes", () => {
  const named = (namespace: string, name: string) => {
    const cluster = aCluster();
    return keyPrefix({ ...cluster, metadata: { ...cluster.metadata, namespace, name } });
  };
  expect(named("push", "live")).toBe("push.live");
  const long = "n".repeat(63);
  expect(named(long, "live")).not.toBe(named(long, "live2"));
  for (const prefix of [named(long, "live"), named("a", "b")]) expect(prefix).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
});

test("the Secret has the same bytes for the same input, and nothing when there is nothing to say", () => {
  const found = connect({ addresses: ["b:1", "a:1"] });
  if (found.kind !== "connection") throw new Error("no connection");
  const secret = () => connectionSecret(wired({}), CONTEXT, found.connection);
  const first = JSON.stringify(secret());
  for (let at = 0; at < 200; at++) expect(JSON.stringify(secret())).toBe(first);
  const [text = ""] = Object.values(secret().data);
  expect(JSON.parse(Buffer.from(text, "base64").toString())).toEqual(found.connection);
  expect(connectionSecret(wired({}), CONTEXT, undefined).data).toEqual({});
});
