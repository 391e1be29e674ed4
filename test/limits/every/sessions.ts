// Why: the rows of failures that sessions meet: what a frame can do wrong, and every way a session ends.
// It must never end one by anything but what a client, an operator or time can do.
import { expect } from "bun:test";
import { ADMIN_PATHS } from "@nexus/protocol/admin.ts";
import type { FailureCode } from "@nexus/protocol/failures.ts";
import { eventually } from "../../support/eventually.ts";
import type { SseEvent } from "../../support/sse-client.ts";
import type { Pod, Settings } from "./pod.ts";
import { answerOf, type Closed, onFrame, onPod, type Provocations, refusedBoth } from "./provocation.ts";
import { deafSocket, deafStream, flood } from "./slow.ts";

const SEND = "/api/v1/notifications/send";

/** What a session of each transport is told when `cause` ends it. */
function ended(settings: Settings, cause: (pod: Pod) => Promise<unknown>) {
  const close = onPod(settings, async (pod): Promise<Closed> => {
    await using client = await pod.seated("ann");
    await cause(pod);
    return await client.ending(10_000);
  });
  const event = onPod(settings, async (pod): Promise<SseEvent> => {
    await using stream = await pod.stream("ann");
    await stream.next("connected");
    await cause(pod);
    const told = await stream.next("error");
    await stream.ending();
    return told;
  });
  return { close, event };
}

const drain = (pod: Pod) => pod.admin("POST", ADMIN_PATHS.drain);
const SHORT_DRAIN = { delivery: { drainSeconds: 5, reconnectJitterSeconds: 0 } };

type SessionCode = Extract<
  FailureCode,
  | ("shutting_down" | "slow_consumer" | "stale_session" | "tenant_suspended" | "connection_limit" | "flood" | "disconnected")
  | ("invalid_message" | "unsupported_format" | "subscription_error" | "invalid_ack" | "invalid_cursor" | "frame_too_large")
>;

export const SESSIONS: Provocations<SessionCode> = {
  shutting_down: {
    problem: onPod({ delivery: { drainSeconds: 600 } }, async (pod) => {
      await using first = await pod.seated("ann"); // one of two may stay, which keeps the port open
      await using second = await pod.seated("ann");
      await drain(pod);
      await eventually("one to be let go", () => first.closed ?? second.closed);
      const refused = await refusedBoth(pod, "bob");
      expect(refused.headers.get("retry-after")).toBe("5");
      return refused;
    }),
    close: onPod(SHORT_DRAIN, async (pod) => {
      await using client = await pod.seated("ann");
      await drain(pod);
      expect(await client.next("shutdown", 10_000)).toMatchObject({ reason: "Server shutting down", reconnect_after_seconds: 1 });
      return await client.ending();
    }),
  },
  slow_consumer: {
    close: onPod({ limits: { sendQueueBytes: 16_384 } }, async (pod) => {
      await using client = await deafSocket(pod, "ann");
      await flood(pod);
      client.startReading();
      return await client.ending();
    }),
    event: onPod({ limits: { sendQueueBytes: 16_384 } }, async (pod) => {
      await using stream = await deafStream(pod, "ann");
      await flood(pod);
      return await stream.lastEvent();
    }),
  },
  stale_session: {
    close: onPod({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } }, async (pod) => {
      await using client = await pod.seated("ann");
      client.answersPings = false;
      return await client.ending();
    }),
    event: onPod({ limits: { sendQueueBytes: 67_108_864 }, delivery: { heartbeatSeconds: 1, staleSeconds: 2 } }, async (pod) => {
      await using stream = await deafStream(pod, "ann");
      await flood(pod);
      await stream.gone();
      return await stream.lastEvent();
    }),
  },
  tenant_suspended: {
    problem: onPod({}, (pod) => pod.rest("POST", SEND, { key: "key-of-gone", body: { target_user_id: "a", event_type: "e", payload: 1 } })),
    ...ended({}, (pod) => pod.push({ acme: { suspended: true } })),
  },
  connection_limit: {
    problem: onPod({ quotas: { connectionsPerUser: 1 } }, async (pod) => {
      await using _ = await pod.seated("ann");
      await using stream = await pod.stream("ann");
      return answerOf(stream);
    }),
    frame: onPod({ quotas: { connections: 1 } }, async (pod) => {
      await using _ = await pod.seated("ann");
      await using client = await pod.socket("bob");
      return await client.next("error");
    }),
    close: onPod({ quotas: { connections: 1 } }, async (pod) => {
      await using _ = await pod.seated("ann");
      await using client = await pod.socket("bob");
      return await client.ending();
    }),
  },
  flood: {
    close: onPod({}, async (pod) => {
      await using client = await pod.seated("ann");
      for (let refused = 0; refused < 30; refused++) await client.ask("no frame", "error");
      await client.ask({ type: "Ping" }, "pong");
      client.send("no frame");
      return await client.ending();
    }),
  },
  disconnected: ended({}, async ({ rest }) => {
    const answer = await rest("DELETE", "/api/v1/users/ann/sessions");
    expect(answer.body).toMatchObject({ disconnected: 1 });
  }),
  frame_too_large: {
    close: onPod({ limits: { frameBytes: 1024 } }, async (pod) => {
      await using client = await pod.seated("ann");
      client.send({ type: "Ping", pad: "x".repeat(1024) });
      return await client.ending();
    }),
  },
  invalid_message: { frame: onFrame({ type: "Hello" }) },
  unsupported_format: {
    frame: onPod({}, async (pod) => {
      await using client = await pod.seated("ann");
      client.binary(Buffer.from("{}"));
      return await client.next("error");
    }),
  },
  subscription_error: { frame: onFrame({ type: "Subscribe", payload: { channels: ["no channel"] } }) },
  invalid_ack: { frame: onFrame({ type: "Ack", payload: { notification_id: "nothing" } }) },
  invalid_cursor: {
    frame: onFrame({ type: "Resume", payload: { cursor: "no cursor" } }),
    event: onPod({}, async (pod) => {
      await using stream = await pod.stream("ann", "&cursor=none");
      return await stream.next("error");
    }),
  },
};
