// Why: the address of a key set is a tenant's word. Each way to make the server dial its own network, wait for ever or
// read without end is a test here, over real TLS.
import { describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { createJwksFetch, JwksError, type JwksFetchOptions } from "@nexus/server/adapters/jwks-fetch.ts";
import { createAuthority } from "../../support/cluster/pki.ts";
import { eventually } from "../../support/eventually.ts";
import { ISSUER_HOST, startJwksServer } from "../../support/jwks-server.ts";

const LOOPBACK = async () => [{ address: "127.0.0.1" }];
const fetcher = (options: Partial<JwksFetchOptions> = {}) => createJwksFetch({ allowPrivate: () => true, resolve: LOOPBACK, ...options });

/** How it failed, as `outcome reason`. */
async function failure(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof JwksError) return `${error.outcome} ${error.reason}`;
    throw error;
  }
  throw new Error("the fetch must fail");
}

describe("a fetch", () => {
  test("dials the address it resolved, asks for the name, and believes the certificate of that name only", async () => {
    await using server = await startJwksServer(
      () => new Response('{"keys":[]}', { headers: { "Cache-Control": "public, max-age=300", Age: "100" } }),
    );
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      return [{ address: "127.0.0.1" }];
    };
    const fetch = fetcher({ ca: server.ca, resolve });
    expect(await fetch(server.url())).toEqual({ text: '{"keys":[]}', maxAgeSeconds: 200 });
    expect(asked).toEqual([ISSUER_HOST]);
    expect(server.hosts).toEqual([`${ISSUER_HOST}:${server.port}`]);
    expect(await failure(fetch(server.url("/keys", "other.example.test")))).toBe("connect ERR_TLS_CERT_ALTNAME_INVALID");
    expect(await fetch(server.url("/keys", "127.0.0.1"))).toMatchObject({ text: '{"keys":[]}' });
    const { certPem } = await createAuthority("somebody else");
    expect(await failure(fetcher({ ca: certPem })(server.url()))).toStartWith("connect ");
    expect(await failure(fetcher()(server.url()))).toStartWith("connect ");
  });

  test.each([
    ["max-age=60", 60],
    ["public,MAX-AGE=60, must-revalidate", 60],
    ['max-age="60"', 60],
    ["s-maxage=60", undefined],
    ["max-age=-1", undefined],
    ["max-age=soon", undefined],
    ["no-store", 0],
    ["no-cache, max-age=60", 0],
    ["", undefined],
  ])("with Cache-Control %p is fresh for %p seconds", async (header, expected) => {
    await using server = await startJwksServer(() => new Response("{}", { headers: { "Cache-Control": header } }));
    expect((await fetcher({ ca: server.ca })(server.url())).maxAgeSeconds).toBe(expected);
  });

  test("tries the next address where the first one cannot be reached", async () => {
    await using server = await startJwksServer(() => new Response("{}"));
    const fetch = fetcher({ ca: server.ca, resolve: async () => [{ address: "::1" }, { address: "127.0.0.1" }] });
    expect((await fetch(server.url())).text).toBe("{}");
  });

  test("takes no proxy from the environment", async () => {
    await using server = await startJwksServer(() => new Response("{}"));
    const before = process.env.HTTPS_PROXY;
    process.env.HTTPS_PROXY = "http://127.0.0.1:1";
    try {
      expect((await fetcher({ ca: server.ca })(server.url())).text).toBe("{}");
    } finally {
      if (before === undefined) delete process.env.HTTPS_PROXY;
      else process.env.HTTPS_PROXY = before;
    }
  });
});

describe("refused before anything is dialled", () => {
  const REFUSED = "refused_address the name leads into a private network";
  test.each([
    ...["127.0.0.1", "127.255.0.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1"],
    ...["0.0.0.0", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fdff::1", "ff02::1"],
    ...[
      "::ffff:127.0.0.1",
      "::ffff:8.8.8.8",
      "::127.0.0.1",
      "2002:7f00:1::",
      "2001::1",
      "64:ff9b::10.0.0.1",
      "64:ff9b:1::8.8.8.8",
      "2001:db8::1",
    ],
  ])("a name that leads to %s", async (address) => {
    const fetch = fetcher({ allowPrivate: () => false, resolve: async () => [{ address }] });
    expect(await failure(fetch("https://id.example/keys"))).toBe(REFUSED);
  });

  test.each([
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://10.0.0.1:6443/",
  ])("the address %s", async (url) => {
    expect(await failure(fetcher({ allowPrivate: () => false })(url))).toBe(REFUSED);
  });

  test("a name that really resolves to this machine", async () => {
    expect(await failure(createJwksFetch({ allowPrivate: () => false })("https://localhost/keys"))).toBe(REFUSED);
  });

  test("private addresses among public ones are left out", async () => {
    const dialled = await failure(
      fetcher({ allowPrivate: () => false, resolve: async () => [{ address: "127.0.0.1" }, { address: "10.0.0.1" }] })(
        "https://id.example/",
      ),
    );
    expect(dialled).toBe(REFUSED);
  });

  test.each([
    ["http://id.example/keys", "not https"],
    ["file:///etc/passwd", "not https"],
    ["nonsense", "not https"],
    ["https://user:word@id.example/", "credentials in the address"],
  ])("%s", async (url, reason) => {
    expect(await failure(fetcher()(url))).toBe(`refused_url ${reason}`);
  });

  test("the setting is asked for every fetch", async () => {
    await using server = await startJwksServer(() => new Response("{}"));
    let allowed = false;
    const fetch = fetcher({ ca: server.ca, allowPrivate: () => allowed });
    expect(await failure(fetch(server.url()))).toBe(REFUSED);
    expect(server.hosts).toEqual([]);
    allowed = true;
    expect((await fetch(server.url())).text).toBe("{}");
  });
});

describe("a hostile issuer", () => {
  test.each([
    ["a body of 10 MB", () => new Response(new Uint8Array(10_000_000)), "too_large more than 262144 bytes"],
    ["a body one byte too long", () => new Response(new Uint8Array(262_145)), "too_large more than 262144 bytes"],
    ["a redirect to the cloud's metadata", () => Response.redirect("http://169.254.169.254/latest/meta-data/", 302), "status 302"],
    ["a redirect to itself", () => Response.redirect("/keys", 307), "status 307"],
    ["an error", () => new Response("{}", { status: 500 }), "status 500"],
    ["nothing", () => new Response(null, { status: 204 }), "status 204"],
  ])("%s", async (_, answer, expected) => {
    await using server = await startJwksServer(answer);
    expect(await failure(fetcher({ ca: server.ca })(server.url()))).toBe(expected);
  });

  test("a small answer that unpacks to 50 MB stays small", async () => {
    const packed = Bun.gzipSync(new Uint8Array(50_000_000));
    await using server = await startJwksServer(() => new Response(packed, { headers: { "Content-Encoding": "gzip" } }));
    expect((await fetcher({ ca: server.ca })(server.url())).text.length).toBeLessThan(262_144);
  });

  test("an answer that never comes, and one that never ends", async () => {
    const never = new Promise<Response>(() => undefined);
    await using silent = await startJwksServer(() => never);
    expect(await failure(fetcher({ ca: silent.ca, timeoutMs: 200 })(silent.url()))).toBe("timeout no answer within 200 ms");
    let isCancelled = false;
    await using endless = await startJwksServer(
      () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue("x"),
            cancel: () => {
              isCancelled = true;
            },
          }),
        ),
    );
    expect(await failure(fetcher({ ca: endless.ca, timeoutMs: 200 })(endless.url()))).toBe("timeout no answer within 200 ms");
    await eventually("the issuer to see that nobody reads any more", () => isCancelled);
  });

  test("a port that takes connections and says nothing", async () => {
    const mute = createServer();
    const listening = Promise.withResolvers<void>();
    mute.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const address = mute.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      expect(await failure(fetcher({ timeoutMs: 200 })(`https://id.example:${port}/`))).toBe("timeout no answer within 200 ms");
    } finally {
      mute.close();
    }
  });

  test("nobody at all", async () => {
    expect(await failure(fetcher()("https://id.example:1/"))).toBe("connect ECONNREFUSED");
  });

  test("a name that does not exist, has no address, or is never answered", async () => {
    const failing = async () => {
      throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
    };
    expect(await failure(fetcher({ resolve: failing })("https://id.example/"))).toBe("dns ENOTFOUND");
    expect(await failure(fetcher({ resolve: async () => [] })("https://id.example/"))).toBe("dns the name has no address");
    const never = () => new Promise<never>(() => undefined);
    expect(await failure(fetcher({ resolve: never, timeoutMs: 50 })("https://id.example/"))).toBe("timeout no answer within 50 ms");
  });
});
