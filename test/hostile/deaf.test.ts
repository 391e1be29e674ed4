// Why: a listener that never reads, on either transport, may cost its own bounded queue and nothing else: others get
// everything, in order, and when it is gone nothing is left.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { Stranger, startTarget, upgradeRequest } from "./target.ts";

const QUEUE_BYTES = 131_072;
const DEAF = 10;
const READERS = 3;
const subscribeNews = (() => {
  const text = JSON.stringify({ type: "Subscribe", payload: { channels: ["news"] } });
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
})();

test.each(["Disconnect", "DropOldest", "LatestOnly"] as const)(
  "under fan-out with slowConsumer %s",
  async (slowConsumer) => {
    const rule = { match: "news", history: { size: 0, ttlSeconds: 60 }, slowConsumer, subscribe: "Anyone", publish: "Nobody" } as const;
    await using target = await startTarget({ limits: { sendQueueBytes: QUEUE_BYTES }, channels: [rule] });
    const { sessions } = target.node;
    const readers = await Promise.all(Array.from({ length: READERS }, (_, n) => target.connect(`reader-${n}`)));
    for (const reader of readers) await reader.ask({ type: "Subscribe", payload: { channels: ["news"] } }, "subscribed");
    const deaf: Stranger[] = [];
    for (let n = 0; n < DEAF; n++) {
      const socket = new Stranger(target.port, upgradeRequest(await target.path("ws", `deaf-${n}`)));
      await socket.status();
      socket.stopReading();
      socket.say(subscribeNews);
      const stream = new Stranger(
        target.port,
        `GET ${await target.path("sse", `deaf-too-${n}`, "channels=news")} HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      await stream.status();
      stream.stopReading();
      deaf.push(socket, stream);
    }
    await eventually("all to listen", () => sessions.load().subscriptions === READERS + 2 * DEAF);

    const got = (reader: (typeof readers)[number]) => reader.frames.filter(({ type }) => type === "notification");
    const dropped = () => target.metric('nexus_dropped_total{reason="slow_consumer"}');
    const payload = "x".repeat(32_768);
    let sent = 0;
    let highest = 0;
    const everyDeafOneIsFull = async () => (slowConsumer === "Disconnect" ? sessions.count() === READERS : (await dropped()) > 500);
    while (!(await everyDeafOneIsFull()) && sent < 3000) {
      for (let n = 0; n < 10; n++) expect((await target.publish("news", { n: sent++, payload })).status).toBe(200);
      highest = Math.max(highest, sessions.load().queuedBytes);
      await eventually("the readers to have it", () => readers.every((reader) => got(reader).length === sent), { intervalMs: 1 });
    }
    expect(sessions.count()).toBe(slowConsumer === "Disconnect" ? READERS : READERS + 2 * DEAF);
    expect(highest).toBeLessThanOrEqual((READERS + 2 * DEAF) * QUEUE_BYTES);
    for (const reader of readers) {
      expect(got(reader).map((frame) => (frame.payload as { n: number }).n)).toEqual([...Array(sent).keys()]); // what was published above
    }
    await Promise.all([...readers, ...deaf].map((client) => client[Symbol.asyncDispose]()));
    await target.deserted();
  },
  120_000,
);
