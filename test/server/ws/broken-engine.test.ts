// Why: an engine that is away, or that throws what nobody foresaw, must end a session with a code that says come back, and
// must never take the server or another session along.
import { expect, test } from "bun:test";
import { FAILURES, Failure, isRetryableClose } from "@nexus/protocol/failures.ts";
import { eventually } from "../../support/eventually.ts";
import { startServer, type TestServer } from "../../support/server.ts";

async function closeOf(server: TestServer, user: string) {
  await using client = await server.connect(user);
  return await eventually("the session ends", () => client.closed);
}

test("a broker that is away ends a new session with 4005, and the client may come back", async () => {
  await using server = startServer();
  await server.engine.close(); // after it every call fails with broker_unavailable
  const { code } = await closeOf(server, "ada");
  expect(code).toBe(FAILURES.broker_unavailable.close);
  expect(isRetryableClose(code)).toBe(true);
});

test("an engine that throws anything else ends that session with 4001 and shows nobody why", async () => {
  let isBroken = true;
  await using server = startServer({
    engine: (memory) => ({
      ...memory,
      directory: {
        ...memory.directory,
        enter: (session, limits) => (isBroken ? Promise.reject(new TypeError("a secret detail")) : memory.directory.enter(session, limits)),
        leave: (session) => memory.directory.leave(session),
        join: (session, channel) => memory.directory.join(session, channel),
        part: (session, channel) => memory.directory.part(session, channel),
      },
    }),
  });
  const closed = await closeOf(server, "ada");
  expect(closed.code).toBe(FAILURES.internal.close);
  expect(closed.reason).not.toContain("secret");
  isBroken = false;
  await using other = await server.connect("grace");
  expect((await eventually("the next one is served", () => other.frames.find((frame) => frame.type === "connected")))?.user_id).toBe(
    "grace",
  );
});

test("a Subscribe the broker could not carry out is refused under its own id, so that the client asks again", async () => {
  await using server = startServer({
    engine: (memory) => ({
      ...memory,
      directory: {
        ...memory.directory,
        enter: (session, limits) => memory.directory.enter(session, limits),
        leave: (session) => memory.directory.leave(session),
        join: () => Promise.reject(new Failure({ code: "broker_unavailable", detail: "The broker is away" })),
        part: (session, channel) => memory.directory.part(session, channel),
      },
    }),
  });
  await using client = await server.connect("ada");
  client.send({ type: "Subscribe", id: "c1", payload: { channels: ["orders"] } });
  const refused = await eventually("it is refused", () => client.frames.find((frame) => frame.type === "error"));
  expect(refused).toMatchObject({ type: "error", id: "c1", code: "BROKER_UNAVAILABLE", retry: true });
});
