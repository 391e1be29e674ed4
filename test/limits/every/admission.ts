// Why: the rows of failures of who may come in and of a broken outside. It must never provoke one by anything but what a
// client, an operator or an engine can do.
import { expect } from "bun:test";
import { Failure, type FailureCode } from "@nexus/protocol/failures.ts";
import { eventually } from "../../support/eventually.ts";
import { type RestAnswer, token } from "../../support/rest.ts";
import { type Breaks, type BrokenServer, startBrokenServer } from "./broken-server.ts";
import { READER } from "./pod.ts";
import { answerOf, errorOf, onFrame, onPod, type Provocations, refusedBoth } from "./provocation.ts";
import { message } from "./requests.ts";

const SEND = "/api/v1/notifications/send";
const CLAIM = { history: { size: 0, ttlSeconds: 1 }, slowConsumer: "Disconnect", subscribe: "Claim", publish: "Claim" } as const;
const SUBSCRIBE = { type: "Subscribe", payload: { channels: ["a"] } };
const PUBLISH = { type: "Publish", payload: { channel: "a", event_type: "e", payload: 1 } };
/** Nobody listens on port 1: what is asked there is refused at once. */
const AWAY = {
  ...{ name: "away", audiences: [], algorithms: ["ES256" as const], clock_skew_seconds: 0 },
  key: { type: "jwks" as const, url: "https://127.0.0.1:1/keys" },
};
const AWAY_ALLOWED = { limits: { jwksPrivateNetworks: true } };

/** A token nobody can judge while the issuer's keys are away: right in form, of another algorithm. */
async function unjudged(): Promise<string> {
  const [, claims] = (await token("ann")).split(".");
  const head = Buffer.from(JSON.stringify({ alg: "ES256", kid: "k" })).toString("base64url");
  return `${head}.${claims}.${Buffer.alloc(64, 1).toString("base64url")}`;
}

const withBroken = async <T>(breaks: Breaks, provoke: (server: BrokenServer) => Promise<T>): Promise<T> => {
  await using server = startBrokenServer(breaks);
  return await provoke(server);
};
/** Each call fails like this, over REST, in a session and while a session is being opened. */
const brokenWays = (error: () => Error) => {
  const fails = () => Promise.reject(error());
  return {
    problem: () =>
      withBroken(
        () => ({ store: { publish: fails }, directory: { enter: fails } }),
        async (server): Promise<RestAnswer> => {
          await using stream = await server.stream("ann");
          const [ofRest, ofStream] = [await server.rest("POST", SEND, { body: message }), answerOf(stream)];
          expect(ofStream.body).toEqual({ ...ofRest.body, request_id: ofStream.body.request_id });
          return ofRest;
        },
      ),
    frame: () =>
      withBroken(
        () => ({ directory: { join: fails } }),
        async (server) => {
          await using client = await server.socket("ann");
          await client.next("connected");
          return await errorOf(client, SUBSCRIBE);
        },
      ),
    event: () =>
      withBroken(
        () => ({ store: { top: fails, unread: fails } }),
        async (server) => {
          await using stream = await server.stream("ann");
          const event = await stream.next("error");
          await stream.ending();
          return event;
        },
      ),
    close: () =>
      withBroken(
        () => ({ directory: { enter: fails } }),
        async (server) => {
          await using client = await server.socket("ann");
          return await client.ending();
        },
      ),
  };
};

type AdmissionCode = Extract<
  FailureCode,
  "internal" | "broker_unavailable" | "node_full" | "rate_limited" | "issuer_unavailable" | "unauthorized" | "token_expired" | "forbidden"
>;

export const ADMISSIONS: Provocations<AdmissionCode> = {
  internal: brokenWays(() => new TypeError("a secret detail")),
  broker_unavailable: brokenWays(() => new Failure({ code: "broker_unavailable", detail: "The engine cannot be reached" })),
  node_full: {
    problem: onPod({ limits: { connectionsPerPod: 1 } }, async (pod) => {
      await using _ = await pod.seated("ann");
      return await refusedBoth(pod, "bob");
    }),
  },
  rate_limited: {
    problem: onPod({ limits: { requestsPerSecond: 1, requestBurst: 1 } }, async ({ rest }) => {
      expect((await rest("POST", SEND, { body: message })).status).toBe(200);
      return await rest("POST", SEND, { body: message });
    }),
    frame: onPod({ channels: [{ match: "*", ...CLAIM }], quotas: { publishPerSecond: 1 } }, async (pod) => {
      await using client = await pod.seated("ann", { channels: ["*"] });
      await client.ask(PUBLISH, "published");
      return await errorOf(client, PUBLISH);
    }),
  },
  issuer_unavailable: {
    problem: onPod({ ...AWAY_ALLOWED, acme: { issuers: [AWAY] } }, async (pod) => {
      const jwt = await unjudged();
      return await pod.rest("GET", `/sse?token=${jwt}`, { key: "" });
    }),
    frame: onPod(AWAY_ALLOWED, async (pod) => {
      await using client = await pod.seated("ann");
      await pod.push({ acme: { issuers: [AWAY] } });
      return await errorOf(client, { type: "Refresh", payload: { token: await unjudged() } });
    }),
  },
  unauthorized: {
    problem: onPod({}, async ({ rest }) => {
      const answer = await rest("POST", SEND, { key: "nobody's", body: message });
      expect(answer.headers.get("www-authenticate")).toContain("ApiKey");
      return answer;
    }),
    frame: onFrame({ type: "Refresh", payload: { token: "no.token.atall" } }),
  },
  token_expired: {
    problem: onPod({}, async ({ rest }) => {
      // A token in its last second: there is none at the very start of a second, so another is tried.
      return await eventually("a token in its last second", async () => {
        const jwt = await token("ann", { exp: Math.floor(Date.now() / 1000) + 1 });
        const answer = await rest("POST", "/api/v1/tickets", { key: "", headers: { authorization: `Bearer ${jwt}` } });
        return answer.body.code === "token_expired" && answer;
      });
    }),
    event: onPod({}, async (pod) => {
      await using stream = await pod.stream("ann", "", { exp: Math.floor(Date.now() / 1000) + 3 });
      const event = await stream.next("error");
      await stream.ending();
      return event;
    }),
    close: onPod({}, async (pod) => {
      await using client = await pod.seated("ann", { exp: Math.floor(Date.now() / 1000) + 3 });
      return await client.ending();
    }),
  },
  forbidden: {
    problem: onPod({}, ({ rest }) => rest("POST", SEND, { key: READER, body: message })),
    frame: onFrame(SUBSCRIBE, { channels: [{ match: "*", ...CLAIM }] }),
  },
};
