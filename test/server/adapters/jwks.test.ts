// Why: keys rotate, issuers go away and come back, and both must happen without a valid user being turned away or a
// removed key living on. Time is the test's.
import { describe, expect, test } from "bun:test";
import { createJwks } from "@nexus/server/adapters/jwks.ts";
import type { JwksKey } from "@nexus/server/adapters/jwks-keys.ts";
import { Provider, providerKey } from "../../support/jwks.ts";

const URL = "https://id.example/keys";
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

function stage(provider: Provider) {
  let now = 1_000_000;
  const counted: string[] = [];
  const warned: Readonly<Record<string, unknown>>[] = [];
  const jwks = createJwks({
    fetch: provider.fetch,
    clock: { monotonic: () => now },
    random: () => 0,
    log: { info: () => undefined, warn: (_event, fields = {}) => warned.push(fields) },
    fetched: (outcome) => counted.push(outcome),
  });
  const find = (kid: string | undefined, verifies: (key: JwksKey) => boolean = () => true) =>
    jwks.find({ url: URL, kid, algorithm: "ES256" }, verifies);
  return {
    jwks,
    counted,
    warned,
    find,
    /** `key`, `none`, or how long to stay away. */
    async said(kid: string | undefined, verifies?: (key: JwksKey) => boolean): Promise<string | number> {
      const answer = await find(kid, verifies);
      return answer.kind === "unavailable" ? answer.retryAfterSeconds : answer.kind;
    },
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe("keys are kept", () => {
  test.each([
    ["ten minutes when the issuer says nothing", undefined, 10 * MINUTE],
    ["as long as it says", 3600, HOUR],
    ["no shorter than a minute", 0, MINUTE],
    ["no longer than a day", 10_000_000, 24 * HOUR],
  ])("%s", async (_, maxAgeSeconds, freshMs) => {
    const provider = new Provider(providerKey("a"));
    provider.maxAgeSeconds = maxAgeSeconds;
    const { said, pass } = stage(provider);
    expect(await said("a")).toBe("key");
    pass(freshMs * 0.74);
    expect(await said("a")).toBe("key");
    expect(provider.asked).toBe(1);
    provider.keys = [];
    pass(freshMs * 0.26);
    expect(await said("a")).toBe("none");
  });

  test("and asked for again before they are stale, without anybody waiting", async () => {
    const provider = new Provider(providerKey("a"));
    const { said, pass } = stage(provider);
    await said("a");
    const gate = Promise.withResolvers<void>();
    provider.gate = gate.promise;
    pass(8 * MINUTE);
    expect(await said("a")).toBe("key");
    expect(await said("a")).toBe("key");
    expect(provider.asked).toBe(2);
    gate.resolve();
  });

  test("asked for once, however many wait", async () => {
    const provider = new Provider(providerKey("a"));
    const { said } = stage(provider);
    expect(await Promise.all(Array.from({ length: 100 }, () => said("a")))).toEqual(Array(100).fill("key"));
    expect(provider.asked).toBe(1);
  });
});

describe("rotation", () => {
  test("a new key is found at once, and the old one is good as long as it is in the set", async () => {
    const provider = new Provider(providerKey("old"));
    const { said, pass } = stage(provider);
    expect(await said("old")).toBe("key");
    provider.keys = [...provider.keys, providerKey("new")];
    pass(SECOND);
    expect(await said("new")).toBe("key");
    expect(await said("old")).toBe("key");
    expect(provider.asked).toBe(2);
    provider.keys = provider.keys.slice(1);
    pass(10 * MINUTE);
    expect(await said("old")).toBe("none");
    expect(await said("new")).toBe("key");
  });

  test("an unknown key makes us ask once in 30 seconds, whoever invents it", async () => {
    const provider = new Provider(providerKey("a"));
    const { said, pass } = stage(provider);
    await said("a");
    pass(SECOND);
    for (let at = 0; at < 50; at++) expect(await said(`invented-${at}`)).toBe("none");
    expect(await Promise.all(Array.from({ length: 50 }, (_, at) => said(`more-${at}`)))).toEqual(Array(50).fill("none"));
    expect(provider.asked).toBe(2);
    pass(29 * SECOND);
    expect(await said("later")).toBe("none");
    expect(provider.asked).toBe(2);
    pass(2 * SECOND);
    expect(await said("later")).toBe("none");
    expect(provider.asked).toBe(3);
  });

  test("the first token of an issuer is not asked for twice", async () => {
    const provider = new Provider(providerKey("a"));
    const { said } = stage(provider);
    expect(await said("unknown")).toBe("none");
    expect(provider.asked).toBe(1);
  });

  test("a known key with a wrong signature asks nobody", async () => {
    const provider = new Provider(providerKey("a"));
    const { said, pass } = stage(provider);
    await said("a");
    pass(MINUTE);
    expect(await said("a", () => false)).toBe("none");
    expect(provider.asked).toBe(1);
  });

  test("without a name every key is tried, and a new one is looked for where none verifies", async () => {
    const provider = new Provider(providerKey(undefined), providerKey(undefined));
    const { said, pass } = stage(provider);
    const tried: string[] = [];
    expect(await said(undefined, ({ id }) => tried.push(id) === 2)).toBe("key");
    provider.keys = [...provider.keys, providerKey("new")];
    pass(SECOND);
    expect(await said(undefined, ({ kid }) => kid === "new")).toBe("key");
    expect(provider.asked).toBe(2);
  });

  test("what a key verified stands until the key leaves the set, also when other keys come and go", async () => {
    const provider = new Provider(providerKey("a"), providerKey("b"));
    const { jwks, find, pass } = stage(provider);
    const found = await find("a");
    if (found.kind !== "key") throw new Error("the key must be found");
    expect(jwks.holds(URL, found.key)).toBe(true);
    provider.keys = provider.keys.slice(0, 1);
    pass(10 * MINUTE);
    expect(jwks.holds(URL, found.key)).toBe(false); // stale, and asked for meanwhile
    await find("a");
    expect(jwks.holds(URL, found.key)).toBe(true);
    provider.keys = [providerKey("a")]; // the same name, another key
    pass(8 * MINUTE);
    expect(jwks.holds(URL, found.key)).toBe(true); // fresh still; this asks for the new set
    await find("b");
    expect(jwks.holds(URL, found.key)).toBe(false);
    expect(jwks.holds("https://elsewhere.example/", found.key)).toBe(false);
  });
});

describe("an issuer that is away", () => {
  test("and was never reached: come back, and it is asked ever less often", async () => {
    const provider = new Provider(providerKey("a"));
    provider.failure = "connect";
    const { said, pass, counted } = stage(provider);
    for (let second = 0; second < 600; second++) {
      const wait = await said("a");
      expect(wait).toBeNumber();
      expect(wait).toBeGreaterThanOrEqual(1);
      expect(wait).toBeLessThanOrEqual(60);
      pass(SECOND);
    }
    expect(provider.asked).toBeGreaterThan(15);
    expect(provider.asked).toBeLessThan(30);
    expect(new Set(counted)).toEqual(new Set(["connect"]));
    provider.failure = undefined;
    pass(MINUTE);
    expect(await said("a")).toBe("key");
  });

  test("is served from its last good keys for a day, warned of once a minute, and seen in a metric", async () => {
    const provider = new Provider(providerKey("a"));
    const { jwks, said, pass, warned, counted } = stage(provider);
    await said("a");
    expect(jwks.outageSeconds()).toBe(0);
    provider.failure = "timeout";
    pass(10 * MINUTE);
    const minutes = 23 * 60;
    for (let minute = 0; minute < minutes; minute++) {
      expect(await said("a")).toBe("key");
      pass(MINUTE);
    }
    expect(jwks.outageSeconds()).toBe(minutes * 60);
    expect(warned.length).toBeLessThanOrEqual(minutes);
    expect(warned[0]).toMatchObject({ host: "id.example", outcome: "timeout", serves: "last good keys" });
    pass(HOUR);
    expect(await said("a")).toBeNumber();
    provider.failure = undefined;
    pass(MINUTE);
    expect(await said("a")).toBe("key");
    expect(jwks.outageSeconds()).toBe(0);
    expect(counted.at(-1)).toBe("ok");
  });

  test("makes nobody wait who has last good keys, but for the first", async () => {
    const provider = new Provider(providerKey("a"));
    const { said, find, jwks, pass } = stage(provider);
    const found = await find("a");
    provider.failure = "timeout";
    pass(10 * MINUTE);
    await said("a");
    provider.gate = new Promise(() => undefined); // never answers again
    pass(MINUTE);
    expect(await said("a")).toBe("key");
    expect(found.kind === "key" && jwks.holds(URL, found.key)).toBe(true);
  });

  test("leaves an unknown key undecided instead of refusing it", async () => {
    const provider = new Provider(providerKey("a"));
    const { said, pass } = stage(provider);
    await said("a");
    provider.failure = "status";
    pass(SECOND);
    expect(await said("new")).toBeNumber();
    expect(await said("new")).toBeNumber();
    expect(provider.asked).toBe(2);
    provider.failure = undefined;
    provider.keys = [...provider.keys, providerKey("new")];
    pass(31 * SECOND);
    expect(await said("new")).toBe("key");
  });

  test("does not count once nobody asks for it", async () => {
    const provider = new Provider();
    provider.failure = "dns";
    const { jwks, said, pass } = stage(provider);
    await said("a");
    pass(5 * MINUTE);
    expect(jwks.outageSeconds()).toBe(300);
    pass(6 * MINUTE);
    expect(jwks.outageSeconds()).toBe(0);
  });

  test.each(["nonsense", "{}", '{"keys": 1}'])("an answer that is no key set (%p) is a failure, and the good keys stay", async (text) => {
    const provider = new Provider(providerKey("a"));
    const { said, pass, counted } = stage(provider);
    await said("a");
    provider.text = text;
    pass(10 * MINUTE);
    expect(await said("a")).toBe("key");
    expect(counted).toEqual(["ok", "malformed"]);
  });

  test("a bug of ours looks like an outage and stops nothing", async () => {
    const { jwks } = (() => {
      const jwks = createJwks({
        fetch: () => Promise.reject(new TypeError("a bug")),
        ...{
          clock: { monotonic: () => 0 },
          random: () => 0,
          log: { info: () => undefined, warn: () => undefined },
          fetched: () => undefined,
        },
      });
      return { jwks };
    })();
    expect(await jwks.find({ url: URL, kid: "a", algorithm: "ES256" }, () => true)).toMatchObject({ kind: "unavailable" });
  });
});

test("five thousand issuers are remembered in part, and none for ever", async () => {
  const provider = new Provider(providerKey("a"));
  const { jwks } = stage(provider);
  const ask = (at: number) => jwks.find({ url: `${URL}/${at}`, kid: "a", algorithm: "ES256" }, () => true);
  for (let at = 0; at < 5000; at++) await ask(at);
  expect(provider.asked).toBe(5000);
  await ask(4999);
  expect(provider.asked).toBe(5000);
  await ask(0);
  expect(provider.asked).toBe(5001);
});
