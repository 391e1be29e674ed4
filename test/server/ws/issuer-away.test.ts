// Why: an issuer that is away must not cost anybody their session: who is in stays, who renews is told to try again.
import { expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createJwks } from "@nexus/server/adapters/jwks.ts";
import { Provider, providerKey } from "../../support/jwks.ts";
import { startServer, TENANT } from "../../support/server.ts";
import { WsClient } from "../../support/ws-client.ts";

test("a refresh that cannot be judged is answered with retry, as often as it is tried, and the old token goes on", async () => {
  const [old, next] = [providerKey("old"), providerKey("next")];
  const provider = new Provider(old);
  const jwks = createJwks({
    ...{ fetch: provider.fetch, clock: systemClock, random: () => 0 },
    ...{ log: { info: () => undefined, warn: () => undefined }, fetched: () => undefined },
  });
  await using server = startServer({ jwks, limits: { framesPerSecond: 0 } });
  const key = { type: "jwks" as const, url: "https://id.example/keys" };
  server.setTenant({ issuers: [{ name: "idp", audiences: [], algorithms: ["ES256"], key, clock_skew_seconds: 0 }] });
  const claims = { sub: "ann", tenant_id: TENANT, exp: Math.floor(Date.now() / 1000) + 600 };

  await using client = await WsClient.connect(`${server.wsUrl}?token=${await old.sign(claims)}`, { protocols: ["nexus.v1.json"] });
  await client.next("connected");
  provider.failure = "timeout";
  const renewed = await next.sign(claims);
  for (let at = 0; at < 60; at++) {
    const answer = await client.ask({ type: "Refresh", payload: { token: renewed } }, "error");
    expect(answer).toMatchObject({ code: "ISSUER_UNAVAILABLE", retry: true });
  }
  await client.ask({ type: "Ping" }, "pong");
  expect(
    await client.ask({ type: "Refresh", payload: { token: await old.sign({ ...claims, exp: claims.exp + 60 }) } }, "refreshed"),
  ).toMatchObject({
    type: "refreshed",
  });
  expect(await client.ask({ type: "Refresh", payload: { token: await providerKey("old").sign(claims) } }, "error")).toMatchObject({
    code: "UNAUTHORIZED",
    retry: false,
  });
});
