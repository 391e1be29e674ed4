// Why: the rows of failures that requests meet on the public and on the admin port. It must never provoke one by anything
// but a request that somebody could send.
import { expect } from "bun:test";
import { ADMIN_PATHS } from "@nexus/protocol/admin.ts";
import type { FailureCode } from "@nexus/protocol/failures.ts";
import { eventually } from "../../support/eventually.ts";
import type { RestAnswer, RestCall } from "../../support/rest.ts";
import { startBrokenServer } from "./broken-server.ts";
import { MANAGED } from "./pod.ts";
import { onFrame, onPod, type Provocations } from "./provocation.ts";

const SEND = "/api/v1/notifications/send";
const TEMPLATES = "/api/v1/templates";
export const message = { target_user_id: "ann", event_type: "e", payload: { n: 1 } };
const template = { id: "t", event_type: "e", payload_template: { text: "hello" } };

const asked = (method: string, path: string, call?: RestCall) => onPod({}, ({ rest }) => rest(method, path, call));
const sent = (call: RestCall) => asked("POST", SEND, call);
/** Text as it is, which the client for JSON does not send. */
const sentText = (body: string, type = "application/json") =>
  onPod({}, async ({ real, rest }) => {
    const { status } = await rest("GET", "/health");
    expect(status).toBe(200);
    const answer = await fetch(`${real.url}${SEND}`, {
      method: "POST",
      headers: { "x-api-key": "key-of-acme", "content-type": type },
      body,
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as RestAnswer["body"] }; // problems are objects
  });

/** A write that does not come to an end before another with its key was answered. */
async function inFlight(): Promise<RestAnswer> {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  await using server = startBrokenServer(({ store }) => ({
    store: {
      async publish(request) {
        waiting++;
        await gate.promise;
        return await store.publish(request);
      },
    },
  }));
  const call = { headers: { "idempotency-key": "k" }, body: { ...message, target_user_ids: ["ann", "bob"] } };
  const first = server.rest("POST", "/api/v1/notifications/send-to-users", call);
  await eventually("the first to be at it", () => waiting > 0);
  const second = await server.rest("POST", "/api/v1/notifications/send-to-users", call);
  gate.resolve();
  expect((await first).status).toBe(200);
  return second;
}

type RequestCode = Extract<
  FailureCode,
  | ("invalid_json" | "limit_exceeded" | "invalid_header" | "unsupported_media_type" | "payload_too_large" | "validation_error")
  | ("template_not_found" | "template_exists" | "template_managed" | "invalid_template_id" | "invalid_template" | "unknown_template")
  | ("idempotency_conflict" | "idempotency_in_flight" | "tenant_access_denied" | "stale_leader" | "bundle_mismatch")
  | ("not_found" | "channel_not_found" | "user_not_connected" | "tenant_not_found" | "method_not_allowed")
>;

const OPEN_CHANNEL = {
  channels: [
    {
      match: "*",
      history: { size: 0, ttlSeconds: 1 },
      slowConsumer: "Disconnect" as const,
      subscribe: "Anyone" as const,
      publish: "Claim" as const,
    },
  ],
};
const publish = (channel: string, payload: unknown) => ({ type: "Publish", payload: { channel, event_type: "e", payload } });

export const REQUESTS: Provocations<RequestCode> = {
  invalid_json: { problem: sentText("{") },
  limit_exceeded: { problem: asked("POST", "/api/v1/notifications/batch", { body: { notifications: [] } }) },
  invalid_header: { problem: sent({ headers: { "x-tenant-id": "no tenant" }, body: message }) },
  unsupported_media_type: { problem: sentText("{}", "text/plain") },
  payload_too_large: {
    problem: sent({ body: { ...message, payload: "x".repeat(70_000) } }),
    frame: onFrame(publish("a", "x".repeat(1000)), { ...OPEN_CHANNEL, quotas: { payloadBytes: 256 } }, { channels: ["*"] }),
  },
  validation_error: { problem: sent({ body: { ...message, target_user_id: 7 } }), frame: onFrame(publish("no channel", 1)) },
  template_not_found: { problem: asked("GET", `${TEMPLATES}/nothing`) },
  template_exists: {
    problem: onPod({}, async ({ rest }) => {
      expect((await rest("POST", TEMPLATES, { body: template })).status).toBe(201);
      return await rest("POST", TEMPLATES, { body: template });
    }),
  },
  template_managed: { problem: asked("DELETE", `${TEMPLATES}/${MANAGED}`) },
  invalid_template_id: { problem: asked("POST", TEMPLATES, { body: { ...template, id: "no id" } }) },
  invalid_template: { problem: asked("POST", TEMPLATES, { body: { ...template, engine: "Liquid", payload_template: "{% if %}" } }) },
  unknown_template: { problem: sent({ body: { target_user_id: "ann", template_id: "nothing" } }) },
  idempotency_conflict: {
    problem: onPod({}, async ({ rest }) => {
      const headers = { "idempotency-key": "k" };
      expect((await rest("POST", SEND, { headers, body: message })).status).toBe(200);
      return await rest("POST", SEND, { headers, body: { ...message, payload: 2 } });
    }),
  },
  idempotency_in_flight: { problem: inFlight },
  tenant_access_denied: { problem: sent({ headers: { "x-tenant-id": "other" }, body: message }) },
  not_found: { problem: asked("DELETE", "/api/v1/sessions/none") },
  channel_not_found: { problem: asked("GET", "/api/v1/channels/quiet") },
  user_not_connected: { problem: asked("GET", "/api/v1/users/ann/subscriptions") },
  tenant_not_found: { problem: asked("GET", "/api/v1/tenants/nobody", { key: "platform-key" }) },
  method_not_allowed: { problem: asked("PATCH", SEND) },
  stale_leader: { problem: onPod({}, (pod) => pod.admin("POST", ADMIN_PATHS.bundle, { ...pod.asPush(), term: "4" })) },
  bundle_mismatch: {
    problem: onPod({}, async (pod) => {
      const { buckets, ...rest } = pod.asPush();
      return await pod.admin("POST", ADMIN_PATHS.bundle, { ...rest, buckets: buckets.map((bucket) => ({ ...bucket, full: false })) });
    }),
  },
};
