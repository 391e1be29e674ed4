// Why: the table of failures is a promise to clients. Here each of its rows is shown by a real server over a real socket
// or request, in every form it has; a row that nothing can show does not compile.
import { describe, expect, test } from "bun:test";
import { type ClosingCode, FAILURES, Failure, type FailureCode, isClosing } from "@nexus/protocol/failures.ts";
import { eventually } from "../support/eventually.ts";
import type { WsClient } from "../support/ws-client.ts";
import { ADMISSIONS } from "./every/admission.ts";
import { startBrokenServer } from "./every/broken-server.ts";
import { startPod } from "./every/pod.ts";
import { errorOf, expectClose, expectError, type Provocations, showProblem, type Ways } from "./every/provocation.ts";
import { REQUESTS } from "./every/requests.ts";
import { SESSIONS } from "./every/sessions.ts";

const PROVOCATIONS: Provocations<FailureCode> = { ...REQUESTS, ...ADMISSIONS, ...SESSIONS };
const rows = Object.entries(PROVOCATIONS) as readonly (readonly [FailureCode, Ways])[]; // keys of a Record of codes
const LONG_MS = 30_000;

describe.each(rows)("%s", (code, { problem, frame, event, close }) => {
  if (problem) test("is answered as a problem", () => showProblem(code, problem), LONG_MS);
  if (frame)
    test(
      "is answered with an error frame, and the session goes on unless it closes",
      async () => expectError(code, await frame()),
      LONG_MS,
    );
  if (event) test("is told as an error event", async () => expectError(code, (await event()).data), LONG_MS);
  if (close && isClosing(code)) test("closes with its code and its title", async () => expectClose(code, await close()), LONG_MS);
});

test("every close code of the table was shown, and two failures never share one", () => {
  const shown = rows.filter(([, ways]) => ways.close).map(([code]) => FAILURES[code as ClosingCode].close); // only those have a way to close
  const known = Object.values(FAILURES).flatMap((row) => ("close" in row ? [row.close] : []));
  expect(new Set(shown)).toEqual(new Set(known));
  expect(new Set(known).size).toBe(known.length);
});

describe("what is no fault of the client is no flood", () => {
  test.each(["internal", "broker_unavailable", "rate_limited", "invalid_ack"] as const)("%s, as often as it is told", async (code) => {
    const again = 40;
    await HARMLESS[code](again);
  });
});

/** Each makes the refusal `times` times in one session, which has to answer a Ping after that. */
const HARMLESS = {
  internal: (times: number) => repeatedJoin(() => new TypeError("a bug"), times),
  broker_unavailable: (times: number) => repeatedJoin(() => new Failure({ code: "broker_unavailable", detail: "away" }), times),
  async rate_limited(times: number) {
    const rule = {
      match: "*",
      history: { size: 0, ttlSeconds: 1 },
      slowConsumer: "Disconnect",
      subscribe: "Anyone",
      publish: "Claim",
    } as const;
    await using pod = await startPod({ channels: [rule], quotas: { publishPerSecond: 1 }, limits: { framesPerSecond: 0 } });
    await using client = await pod.seated("ann", { channels: ["*"] });
    const frame = { type: "Publish", payload: { channel: "a", event_type: "e", payload: 1 } };
    // One a second goes through: how many of the frames that is, the machine decides.
    for (let refused = 0; refused < times; ) {
      client.send(frame);
      const { type } = await eventually("an answer", () => client.frames.find((one) => one.type === "error" || one.type === "published"), {
        intervalMs: 2,
      });
      await client.next(type);
      if (type === "error") refused++;
    }
    await client.ask({ type: "Ping" }, "pong");
  },
  async invalid_ack(times: number) {
    await using pod = await startPod({ limits: { framesPerSecond: 0 } });
    await using client = await pod.seated("ann");
    for (let i = 0; i < times; i++) await errorOf(client, { type: "Ack", payload: { notification_id: "nothing" } });
  },
} as const;

async function repeatedJoin(error: () => Error, times: number): Promise<void> {
  await using server = startBrokenServer(() => ({ directory: { join: () => Promise.reject(error()) } }));
  await using client = await server.socket("ann");
  for (let i = 0; i < times; i++) await errorOf(client, { type: "Subscribe", payload: { channels: ["a"] } });
}

describe("codes of RFC 6455 itself", () => {
  const closing = (status: number) => Buffer.from([status >> 8, status & 0xff]);
  test.each([
    ["1000 answers a client that closes", 1000, (client: WsClient) => client.raw(8, closing(1000))],
    ["1002 answers a frame of a reserved kind", 1002, (client: WsClient) => client.raw(3, Buffer.from("x"))],
    ["1007 answers text that is no UTF-8", 1007, (client: WsClient) => client.raw(1, Buffer.from([0xff, 0xfe]))],
    ["1009 answers a message that is not even gathered", 1009, (client: WsClient) => client.raw(1, Buffer.alloc(300_000, 0x20))],
  ] as const)("%s", async (_, code, send) => {
    await using pod = await startPod();
    await using client = await pod.seated("ann");
    send(client);
    expect(await client.ending()).toMatchObject({ code });
    await using next = await pod.seated("ann"); // and nobody else is hurt
    await next.ask({ type: "Ping" }, "pong");
  });

  test("1001 tells those who are still there when the process stops at once", async () => {
    const pod = await startPod();
    await using client = await pod.seated("ann");
    await pod[Symbol.asyncDispose]();
    expect(await client.ending()).toMatchObject({ code: 1001 });
  });
});
