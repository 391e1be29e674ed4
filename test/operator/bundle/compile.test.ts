// Why: what servers are told follows from these functions alone; a key that is lost or leaked here is lost or leaked everywhere.
import { describe, expect, test } from "bun:test";
import { compileBundle } from "@nexus/operator/desired/bundle.ts";
import { bucketOf, bundleDigest, makeBuckets } from "@nexus/protocol/bundle.ts";
import { canonicalJson, sha256 } from "@nexus/protocol/canonical.ts";
import { readEntry } from "@nexus/server/core/bundle-entries.ts";
import { aCluster, accepted, acceptedTemplate, aTemplate, aTenant, newPrivatePem, noSecrets, PUBLIC_PEM, secretsOf } from "./fixtures.ts";

const GOLDEN = new URL("golden/bundle.json", import.meta.url);
const HMAC = new Uint8Array([0, 255, 10, 13, ...new TextEncoder().encode("thirty-two bytes of an hmac key.")]);

/** One of everything. */
function everything() {
  const cluster = aCluster({
    platformKeys: [{ name: "ops" }, { name: "ci", secretRef: { name: "ci" } }],
    channels: [{ match: "orders.*", history: { size: 100 } }, { match: "@broadcast" }, { match: "*" }],
    tenancy: "Multiple",
  });
  const acme = accepted(
    aTenant(
      "acme",
      {
        auth: {
          issuers: [
            {
              name: "web",
              issuer: "https://id.example.com",
              audiences: ["b", "a"],
              algorithms: ["RS256", "ES256"],
              jwksURL: "https://id.example.com/jwks",
            },
            { name: "internal", algorithms: ["HS512", "HS256"], secretRef: { name: "jwt" }, clockSkewSeconds: 5 },
            { name: "edge", algorithms: ["ES256"], publicKeySecretRef: { name: "edge", key: "pub.pem" } },
          ],
          apiKeys: [
            { name: "backend", scopes: ["read", "publish"] },
            { name: "admin", scopes: ["admin"], secretRef: { name: "hand-made", key: "token" } },
          ],
        },
        quotas: { publishPerSecond: 10, inbox: { mode: "Acked" } },
        channels: [{ match: "ticker", slowConsumer: "LatestOnly" }],
        allowedOrigins: ["https://b.example.com", "https://a.example.com"],
      },
      { generation: 7 },
    ),
    cluster,
  );
  const shipped = aTemplate("shipped", {
    templateId: "order-shipped",
    eventType: "order.shipped",
    priority: "High",
    ttlSeconds: 60,
    variables: [{ name: "parcels", type: "integer", default: 1 }, { name: "name" }],
    payload: { title: "Hello {{name}}", parcels: "{{parcels}}", nested: [1, null, { z: 1, a: true }] },
    locales: [
      { locale: "de", payload: { title: "Hallo {{name}}" } },
      { locale: "de-AT", payload: { title: "Servus {{name}}" } },
    ],
  });
  const secrets = secretsOf({
    "prod/live-platformkey-ops": { key: "platform-key" },
    "prod/ci": { key: "ci-key" },
    "prod/jwt": { key: HMAC },
    "prod/edge": { "pub.pem": PUBLIC_PEM },
    "prod/acme-apikey-backend": { key: "new-key", previous: "old-key", "previous-not-after": "2026-01-02T00:00:00Z" },
    "prod/hand-made": { token: "by-hand\n" },
  });
  return { cluster, tenants: [acme], templates: [acceptedTemplate(shipped, acme)], secrets };
}

describe("compileBundle", () => {
  test("makes exactly the golden bundle", async () => {
    const { entries, rejected, warnings } = compileBundle(everything());
    if (process.env.UPDATE_GOLDEN) await Bun.write(GOLDEN.pathname, `${JSON.stringify(entries, null, 2)}\n`);
    expect(entries).toEqual(await Bun.file(GOLDEN.pathname).json());
    expect([rejected, warnings]).toEqual([[], []]);
    for (const entry of entries) expect(readEntry(entry, bucketOf(entry.id))).toEqual({ ok: true, entry });
  });

  test("makes the same bytes 200 times, whatever the order of its inputs", () => {
    const first = canonicalJson(compileBundle(everything()).entries);
    const digest = bundleDigest(makeBuckets(compileBundle(everything()).entries).map((bucket) => bucket.digest));
    for (let round = 0; round < 200; round++) {
      const input = everything();
      const { spec } = input.tenants[0]!.tenant;
      for (const list of [spec.auth.issuers, spec.auth.apiKeys, input.cluster.spec.platformKeys, spec.allowedOrigins]) {
        if (Array.isArray(list)) list.sort(() => (round % 3) - 1);
      }
      const { entries } = compileBundle(input);
      expect(canonicalJson(entries)).toBe(first);
      expect(bundleDigest(makeBuckets(entries).map((bucket) => bucket.digest))).toBe(digest);
    }
  });

  test("keeps the bytes of an HMAC key, trims what HTTP cannot carry from an API key, and hashes the replaced key", () => {
    const tenant = compileBundle(everything()).entries.find((entry) => entry.kind === "tenant")!;
    expect(tenant.spec.issuers.find((issuer) => issuer.name === "internal")?.key).toEqual({
      type: "secret",
      base64: Buffer.from(HMAC).toString("base64"),
    });
    expect(tenant.spec.api_keys.map((key) => key.hashes)).toEqual([
      [{ sha256: sha256("by-hand") }],
      [{ sha256: sha256("new-key") }, { sha256: sha256("old-key"), not_after: "2026-01-02T00:00:00Z" }],
    ]);
  });

  test("leaves out what has no Secret, names it, and keeps the rest", () => {
    const { entries, rejected } = compileBundle({ ...everything(), secrets: secretsOf({ "prod/jwt": { key: HMAC } }) });
    const tenant = entries.find((entry) => entry.kind === "tenant")!;
    expect(tenant.spec.issuers.map((issuer) => issuer.name)).toEqual(["internal", "web"]);
    expect(tenant.spec.api_keys).toEqual([]);
    const about = rejected.map(({ kind, name, generation, reason, message }) => [kind, name, generation, reason, message]);
    expect(about).toEqual([
      ["NexusCluster", "live", 1, "SecretNotFound", "Secret ci with key key is missing or empty"],
      ["NexusCluster", "live", 1, "SecretNotFound", "Secret live-platformkey-ops with key key is missing or empty"],
      ["Tenant", "acme", 7, "SecretNotFound", "Secret edge with key pub.pem is missing or empty"],
      ["Tenant", "acme", 7, "SecretNotFound", "Secret hand-made with key token is missing or empty"],
      ["Tenant", "acme", 7, "SecretNotFound", "Secret acme-apikey-backend with key key is missing or empty"],
    ]);
  });

  test("never lets a private key into the bundle", () => {
    const pem = newPrivatePem();
    const { entries, rejected } = compileBundle({ ...everything(), secrets: secretsOf({ "prod/edge": { "pub.pem": pem } }) });
    expect(JSON.stringify(entries)).not.toContain(pem.split("\n")[1]!);
    expect(entries.find((entry) => entry.kind === "tenant")!.spec.issuers.map((issuer) => issuer.name)).toEqual(["web"]);
    expect(rejected).toContainEqual(
      expect.objectContaining({ reason: "InvalidSpec", message: "Secret edge with key pub.pem (issuer edge) is no public key in PEM" }),
    );
  });

  test("ends an overlap whose date nobody can read", () => {
    for (const date of ["tomorrow", "", "2026-13-01T00:00:00Z"]) {
      const secrets = secretsOf({ "prod/acme-apikey-backend": { key: "new", previous: "old", "previous-not-after": date } });
      const tenant = compileBundle({ ...everything(), secrets }).entries.find((entry) => entry.kind === "tenant")!;
      expect(tenant.spec.api_keys.map((key) => key.hashes)).toEqual([[{ sha256: sha256("new") }]]);
    }
  });
});

describe("templates that servers could not use", () => {
  const owner = accepted(aTenant("acme", { quotas: { payloadBytes: 256 } }));
  const compile = (...templates: ReturnType<typeof aTemplate>[]) =>
    compileBundle({
      cluster: aCluster(),
      tenants: [owner],
      templates: templates.map((template) => acceptedTemplate(template, owner)),
      secrets: noSecrets,
    });
  const templatesOf = (bundle: ReturnType<typeof compile>) =>
    bundle.entries.flatMap((entry) => (entry.kind === "template" ? [[entry.id, entry.uid]] : []));

  test.each([
    [
      "Liquid that does not compile",
      { engine: "Liquid", payload: { items: [{ text: "one\n {% if x %}" }] } },
      "InvalidSpec",
      "spec.payload.items[0].text tag {% if x %} not closed (line 2, column 2)",
    ],
    [
      "a Liquid key that does not compile",
      { engine: "Liquid", locales: [{ locale: "de", payload: { "{{ a | nope }}": 1 } }] },
      "InvalidSpec",
      "spec.locales[0].payload.{{ a | nope }} undefined filter: nope",
    ],
    [
      "one Liquid text that does not compile",
      { engine: "Liquid", payload: undefined, payloadText: "{% layout 'x' %}" },
      "InvalidSpec",
      'spec.payloadText tag "layout" not found (line 1, column 1)',
    ],
    [
      "a partial named by a variable",
      { engine: "Liquid", payload: { a: "{% render x %}" } },
      "InvalidSpec",
      "spec.payload.a the partial's name must be a quoted template id (line 1, column 1)",
    ],
    [
      "a number readers would change",
      { payload: { a: [1, 9007199254740994] } },
      "InvalidSpec",
      "spec.payload.a[1] holds a number beyond 2^53",
    ],
    ["a huge float", { payload: { a: 1e300 } }, "InvalidSpec", "spec.payload.a holds a number beyond 2^53"],
    ["a payload over the quota", { payload: { a: "x".repeat(300) } }, "InvalidSpec", "spec.payload has 308 bytes"],
    [
      "a locale over the quota",
      { locales: [{ locale: "de", payload: { a: "ü".repeat(150) } }] },
      "InvalidSpec",
      "spec.locales[0].payload has 308 bytes",
    ],
    [
      "one locale twice",
      {
        locales: [
          { locale: "de", payload: {} },
          { locale: "DE", payload: {} },
        ],
      },
      "InvalidSpec",
      "spec.locales has DE twice",
    ],
    [
      "a default of another type",
      { variables: [{ name: "n", type: "integer", default: 1.5 }] },
      "InvalidSpec",
      "spec.variables[n].default must be of type integer",
    ],
    ["nesting without end", { payload: { a: nested(80) } }, "InvalidSpec", "is nested deeper than 64"],
  ] as const)("refuses %s and keeps the others", (_name, spec, reason, message) => {
    const bundle = compile(aTemplate("good"), aTemplate("bad", spec, { generation: 3 }));
    expect(templatesOf(bundle)).toEqual([["acme/good", "uid-good"]]);
    expect(bundle.rejected).toEqual([
      expect.objectContaining({ kind: "Template", namespace: "prod", name: "bad", uid: "uid-bad", generation: 3, reason }),
    ]);
    expect(bundle.rejected[0]?.message).toContain(message);
  });

  test("gives an id to the oldest, then to the smaller uid, then to the first name", () => {
    const late = { creationTimestamp: "2026-02-01T00:00:00Z" };
    const same = (name: string, meta: object) => aTemplate(name, { templateId: "same" }, meta);
    const first = compile(same("a", late), same("b", {}), same("c", late));
    expect(templatesOf(first)).toEqual([["acme/same", "uid-b"]]);
    expect(first.rejected.map(({ name, reason }) => [name, reason])).toEqual([
      ["a", "NameConflict"],
      ["c", "NameConflict"],
    ]);
    expect(templatesOf(compile(same("z", { uid: "1" }), same("a", { uid: "2" })))).toEqual([["acme/same", "1"]]);
    expect(compile(same("z", { uid: "" }), same("a", { uid: "" })).rejected.map(({ name }) => name)).toEqual(["z"]);
  });

  test("takes Liquid in both forms; the text is the payload", () => {
    const source = "[{% for i in items %}{{ i | json }}{% endfor %}]";
    const forms = { engine: "Liquid", payload: undefined, payloadText: source, variables: [{ name: "items", type: "array" }] };
    const locales = [
      { locale: "fr", payload: { a: "{% include 'footer' %}" } },
      { locale: "de", payloadText: "[]" },
    ];
    const { entries, rejected, warnings } = compile(aTemplate("list", { ...forms, locales }));
    expect([rejected, warnings]).toEqual([[], []]);
    const spec = entries.flatMap((entry) => (entry.kind === "template" ? [entry.spec] : []))[0];
    expect(spec).toMatchObject({ engine: "Liquid", payload: source });
    expect(spec?.locales).toEqual([
      { locale: "de", payload: "[]" },
      { locale: "fr", payload: { a: "{% include 'footer' %}" } },
    ]);
  });

  test("warns of placeholders nobody declared and of variables nobody uses, and refuses neither", () => {
    const spec = {
      variables: [{ name: "name" }, { name: "spare" }, { name: "user" }],
      payload: { "{{key}}": "{{naem}} {{user.id}} {{ x }}" },
    };
    const bundle = compile(aTemplate("typo", spec), aTemplate("free", { payload: { a: "{{anything}}" } }));
    expect(templatesOf(bundle)).toHaveLength(2);
    expect(bundle.rejected).toEqual([]);
    expect(bundle.warnings.map(({ name, message }) => [name, message])).toEqual([
      ["typo", "the payload uses {{key}}, which spec.variables does not declare"],
      ["typo", "the payload uses {{naem}}, which spec.variables does not declare"],
      ["typo", "spec.variables declares name, which no payload uses"],
      ["typo", "spec.variables declares spare, which no payload uses"],
    ]);
  });
});

test("a tenant whose channel rule can match nothing is refused whole, with the rule's number", () => {
  for (const match of ["a/b", "a:*", "x!", "a".repeat(65)]) {
    const tenant = accepted(aTenant("acme", { channels: [{ match: "fine" }, { match }] }));
    const { entries, rejected } = compileBundle({ cluster: aCluster(), tenants: [tenant], templates: [], secrets: noSecrets });
    expect(entries.map((entry) => entry.kind)).toEqual(["cluster"]);
    expect(rejected[0]).toMatchObject({ reason: "InvalidSpec", name: "acme" });
    expect(rejected[0]?.message).toStartWith("spec.channels[1].match must be a channel name");
  }
});

function nested(depth: number): unknown {
  return depth === 0 ? {} : { a: nested(depth - 1) };
}
