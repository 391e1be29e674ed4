// Why: a session that ends because its token did is a reconnect nobody needed; one that asks for tokens in a hurry is an
// attack on the identity provider. Waits are checked by value, turns with short-lived tokens.
import { describe, expect, test } from "bun:test";
import { NexusError } from "@nexus/client/error.ts";
import { Renewal, renewInMs } from "@nexus/client/renewal.ts";
import { claimsOf } from "@nexus/client/token.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/server.ts";
import { clientOf, jwtOf } from "./recorded-client.ts";
import { CONNECTED, scriptedServer } from "./scripted-server.ts";

describe("when", () => {
  test.each([
    [3_600_000, 0, 3_570_000],
    [3_600_000, 0.999999, 3_540_000],
    [10_000, 0, 9_000],
    [1_000, 0, undefined],
    [0, 0, undefined],
    [-5_000, 0, undefined],
  ])("%d ms before the end, chance %d: in %p ms", (left, random, expected) => {
    const inMs = renewInMs(left, random);
    expect(inMs === undefined ? undefined : Math.round(inMs)).toBe(expected);
  });

  test("never in a hurry, always before the end", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e6, max: 1e10 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (left, random) => {
        const inMs = renewInMs(left, random) ?? 1_000;
        expect(inMs).toBeGreaterThanOrEqual(1_000);
        if (left > 2_000) expect(inMs).toBeLessThan(left);
      }),
    );
  });
});

describe("what a token says", () => {
  test("end and owner, also of names beyond ASCII; the tenant nobody names is one", () => {
    const token = jwtOf("Zoë", 60, { exp: 1234 });
    expect(claimsOf(token)).toEqual({ expiresAt: 1_234_000, owner: '["acme","Zoë"]' });
    expect(claimsOf(jwtOf("a", 60, { tenant_id: undefined })).owner).toBe(claimsOf(jwtOf("a", 9, { tenant_id: "default" })).owner ?? "");
  });

  test("of anything else nothing, and never throws", () => {
    expect(claimsOf("opaque")).toEqual({});
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((body) => `a.${body}.c`),
        ),
        (text) => void claimsOf(text),
      ),
    );
  });
});

describe("when there is no better token yet", () => {
  /** A renewal whose clock goes from timer to timer, starting at 0. `answers`: what the provider says, in turn. */
  function renewalOf(...answers: (string | Error)[]) {
    const state = { now: 0, waits: [] as number[], offered: [] as string[], errors: [] as string[], refused: [] as string[] };
    let due: (() => void) | undefined;
    const renewal = new Renewal({
      provider: async () => {
        const answer = answers.shift() ?? new Error("asked too often");
        if (answer instanceof Error) throw answer;
        return answer;
      },
      random: () => 0,
      now: () => state.now,
      after: (milliseconds, run) => {
        state.waits.push(milliseconds);
        due = run;
        return () => {
          due = undefined;
        };
      },
      offer: (token) => state.offered.push(token),
      onFailure: ({ code }) => state.errors.push(code),
      onRefused: ({ code }) => state.refused.push(code),
    });
    const next = async () => {
      const run = due;
      due = undefined;
      state.now += state.waits.at(-1) ?? 0;
      run?.();
      await new Promise((resolve) => setImmediate(resolve)); // the provider has answered
    };
    return { renewal, state, next, isWaiting: () => due !== undefined };
  }
  /** Ends at so many milliseconds of the test's clock. */
  const endingAt = (milliseconds: number) => jwtOf("ada", 0, { exp: milliseconds / 1000 });

  test("the provider is asked again after half of what is left, until that is too little", async () => {
    const old = endingAt(100_000);
    const { renewal, state, next, isWaiting } = renewalOf(old, new Error("down"), old, old);
    renewal.start(old);
    while (isWaiting()) await next();
    expect(state.waits).toEqual([90_000, 5_000, 2_500, 1_250]);
    expect(state.errors).toEqual(["TOKEN_PROVIDER"]);
    expect(state.offered).toEqual([]);
  });

  test("a refusal that may pass is tried again, another one is not", async () => {
    const [old, better] = [endingAt(100_000), endingAt(200_000)];
    const { renewal, state, next, isWaiting } = renewalOf(better, better);
    renewal.start(old);
    await next();
    renewal.refused(new NexusError("ISSUER_UNAVAILABLE", "later", { retry: true }));
    expect(state.waits.at(-1)).toBe(5_000);
    await next();
    expect(state.offered).toEqual([better, better]);
    renewal.refused(new NexusError("FORBIDDEN", "no"));
    expect([state.errors, state.refused, isWaiting()]).toEqual([["ISSUER_UNAVAILABLE"], ["FORBIDDEN"], false]);
  });

  test("a token taken is followed by its own end; what a provider says too late is not offered", async () => {
    const [old, better] = [endingAt(100_000), endingAt(200_000)];
    const { renewal, state, next } = renewalOf(better, endingAt(300_000));
    renewal.start(old);
    await next();
    expect(renewal.accepted()).toBe(better);
    expect(state.waits.at(-1)).toBe(99_000);
    const asked = next();
    renewal.stop();
    await asked;
    expect(state.offered).toEqual([better]);
  });

  test("a token of a year needs more than one timer", async () => {
    const { renewal, state, next } = renewalOf("next");
    renewal.start(endingAt(3_000_000_000));
    await next();
    expect(state.offered).toEqual([]);
    await next();
    expect(state.now).toBe(3_000_000_000 - 30_000);
    expect(state.offered).toEqual(["next"]);
  });
});

describe("a short-lived token", () => {
  test("is followed by the next on the same connection", async () => {
    await using server = scriptedServer();
    const tokens = [jwtOf("ada", 2), jwtOf("ada", 3600)];
    const second = tokens[1] ?? "";
    using one = clientOf(server.url, { token: () => tokens.shift() ?? "" });
    await one.client.connect();
    const peer = await server.peer(0);
    const { id, payload } = await peer.next("Refresh");
    expect(payload).toEqual({ token: second });
    peer.send({ type: "refreshed", id });
    await eventually("told", () => one.events.frame.some(({ frame }) => JSON.stringify(frame).includes("refreshed")));
    expect(JSON.stringify(one.events)).not.toContain(second);
    // The connection has the second token now: when the server will not have it any more, it is not offered again.
    tokens.push(second);
    peer.close(4502);
    await eventually("closed", () => one.client.state === "closed");
    expect(server.peers.length).toBe(1);
  });

  test("that is refused on this connection is tried with a new one", async () => {
    await using server = scriptedServer();
    const tokens = [jwtOf("ada", 2), jwtOf("bob", 3600)];
    using one = clientOf(server.url, { token: () => tokens.shift() ?? "bob-again" });
    await one.client.connect();
    const peer = await server.peer(0);
    const { id } = await peer.next("Refresh");
    peer.send({ type: "error", id, code: "FORBIDDEN", message: "The token belongs to another user or tenant", retry: false });
    expect((await server.peer(1)).token).toBe("bob-again");
    expect(one.events.error).toMatchObject([{ code: "FORBIDDEN" }]);
  });

  test("that is a text is not followed by anything", async () => {
    await using server = scriptedServer({ greet: (peer) => peer.send(CONNECTED) });
    using one = clientOf(server.url, { token: jwtOf("ada", 1.5) });
    await one.client.connect();
    const peer = await server.peer(0);
    peer.close(4502);
    await eventually("closed", () => one.client.state === "closed");
    expect(peer.sent).toEqual([]);
  });
});

test("with a real server a session outlives its first token", async () => {
  await using server = startServer();
  const soon = Math.floor(Date.now() / 1000) + 3;
  const tokens = [server.token("ann", { exp: soon }), server.token("ann", { exp: soon + 3600 })];
  using ann = clientOf(server.app.url, { token: () => tokens.shift() ?? "" });
  using bob = clientOf(server.app.url, { token: server.token("bob", { exp: soon }) });
  await Promise.all([ann.client.connect(), bob.client.connect()]);
  await eventually("bob's token is over", () => bob.client.state === "closed");
  await server.publish({ kind: "user", user: "ann" });
  await eventually("ann still hears", () => ann.events.notification.length === 1);
  expect(ann.states()).toEqual(["connecting", "connected"]);
}, 30_000);
