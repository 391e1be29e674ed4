// Why: every failure is shown as a client meets it, and judged by one table of expectations. It must never know a code's
// own words: what is expected comes from the table of failures.
import { expect } from "bun:test";
import { type ClosingCode, FAILURES, type FailureCode } from "@nexus/protocol/failures.ts";
import type { RestAnswer } from "../../support/rest.ts";
import type { SseClient, SseEvent } from "../../support/sse-client.ts";
import type { WireFrame, WsClient } from "../../support/ws-client.ts";
import { type Pod, type Settings, startPod } from "./pod.ts";

export type Closed = NonNullable<WsClient["closed"]>;

/** Ways a failure shows, each with how to make it: a problem, an `error` frame, an `error` event (SSE), a close code. */
export type Ways = {
  readonly problem?: () => Promise<RestAnswer>;
  readonly frame?: () => Promise<WireFrame>;
  readonly event?: () => Promise<SseEvent>;
  readonly close?: () => Promise<Closed>;
};
type Some = { readonly [W in keyof Ways]-?: Required<Pick<Ways, W>> & Ways }[keyof Ways];
/** A failure with a close code is shown by it; every other is shown somehow, and by none. */
export type Provocation<C extends FailureCode> = C extends ClosingCode
  ? Ways & Required<Pick<Ways, "close">>
  : Some & { readonly close?: never };
export type Provocations<C extends FailureCode> = { readonly [One in C]: Provocation<One> };

export async function showProblem(code: FailureCode, provoke: () => Promise<RestAnswer>): Promise<void> {
  const { status, headers, body } = await provoke();
  const row = FAILURES[code];
  expect(body).toMatchObject({ type: `urn:nexus:problem:${code}`, title: row.title, status: row.status, code });
  expect(body).toMatchObject({ detail: expect.any(String), error: { code: row.wire, message: body.detail } });
  expect([status, headers.get("content-type")]).toEqual([row.status, "application/problem+json"]);
  expect(body.request_id ?? null).toBe(headers.get("x-request-id"));
  expect(body.retry_after_seconds === undefined ? null : String(body.retry_after_seconds)).toBe(headers.get("retry-after"));
  expect(status === 429 && code !== "connection_limit" ? Number(headers.get("retry-after")) : 1).toBeGreaterThan(0);
}

export function expectError(code: FailureCode, error: Readonly<Record<string, unknown>>): void {
  const { wire, retry } = FAILURES[code];
  expect(error).toMatchObject({ type: "error", code: wire, retry, message: expect.stringMatching(/./) });
}

export function expectClose(code: ClosingCode, closed: Closed): void {
  const { close, title } = FAILURES[code];
  expect(closed).toEqual({ code: close, reason: close === 1009 && closed.reason === "" ? "" : title });
}

/** Runs on a pod of its own, which is gone afterwards. */
export const onPod =
  <T>(settings: Settings, provoke: (pod: Pod) => Promise<T>) =>
  async (): Promise<T> => {
    await using pod = await startPod(settings);
    return await provoke(pod);
  };

/** An answer that came where a socket or a stream was asked for. */
export function answerOf(client: WsClient | SseClient): RestAnswer {
  const { status, headers, body } = "answer" in client ? client.answer : client;
  return { status, headers: new Headers([...headers]), body: JSON.parse(body) as Record<string, unknown> }; // problems are objects
}

/** The first answer over `/ws` and over `/sse` is the same refusal; the socket's is handed back. */
export async function refusedBoth(pod: Pod, user: string, claims: Readonly<Record<string, unknown>> = {}): Promise<RestAnswer> {
  await using stream = await pod.stream(user, "", claims);
  await using socket = await pod.socket(user, claims);
  const [ofStream, ofSocket] = [answerOf(stream), answerOf(socket)];
  expect(ofStream.body).toEqual({ ...ofSocket.body, request_id: ofStream.body.request_id });
  return ofSocket;
}

/** The refusal of one frame, on a session that is still there afterwards. */
export async function errorOf(client: WsClient, frame: unknown): Promise<WireFrame> {
  const error = await client.ask(frame, "error");
  await client.ask({ type: "Ping" }, "pong");
  return error;
}

/** A user of acme sends one frame that is refused. */
export const onFrame = (frame: unknown, settings: Settings = {}, claims: Readonly<Record<string, unknown>> = {}) =>
  onPod(settings, async (pod) => {
    await using client = await pod.seated("ann", claims);
    return await errorOf(client, frame);
  });
