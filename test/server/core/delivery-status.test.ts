// Why: the one word for what became of a notification, each way it can come about.
import { expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { deliveryStatus } from "@nexus/server/core/delivery-status.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import type { Receipt } from "@nexus/server/core/record-ports.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";

const ANN: StreamId = { kind: "inbox", tenant: "acme", user: "ann" };
const NEWS: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
const reached = { stream: NEWS, deliveredTo: 3, queued: false };
const missed = { stream: NEWS, deliveredTo: 0, queued: false };
const waiting = { stream: ANN, deliveredTo: 0, queued: true };

function setup() {
  const clock = manualServerClock();
  const { store } = createMemoryEngine({ clock, ids: systemIds, maxBytes: 10_000_000 });
  const receipt = (targets: Receipt["targets"], change: Partial<Receipt> = {}): Receipt => ({
    ...{ notificationId: "wanted", occurredAt: clock.now(), eventType: "test", expiresAt: undefined },
    ...{ targets, targetCount: targets.length, deliveredTo: targets.reduce((sum, { deliveredTo }) => sum + deliveredTo, 0) },
    ...{ acknowledgements: [], acknowledgementCount: 0 },
    ...change,
  });
  return {
    ...{ clock, store, receipt },
    status: (targets: Receipt["targets"], change?: Partial<Receipt>) =>
      deliveryStatus({ store, now: clock.now() }, receipt(targets, change)),
    publish: (id = "wanted", entries = 10) =>
      store.publish({
        stream: ANN,
        notification: {
          id,
          occurredAt: clock.now(),
          eventType: "test",
          payloadJson: "1",
          metadata: { source: "test", priority: "Normal" },
        },
        retention: { entries, ttlSeconds: 60 },
      }),
  };
}

test("an ACK says more than a delivery, a delivery more than an end", async () => {
  const { clock, status } = setup();
  const ended = { expiresAt: clock.now() };
  expect(await status([reached], { ...ended, acknowledgementCount: 1 })).toBe("acknowledged");
  expect(await status([waiting], { acknowledgementCount: 1 })).toBe("acknowledged");
  expect(await status([reached, waiting], ended)).toBe("delivered");
  expect(await status([missed, missed], ended)).toBe("expired");
  expect(await status([missed], { expiresAt: clock.now() + 1 })).toBe("undelivered");
});

test("nobody there and nothing kept is undelivered; one inbox that keeps it makes it queued", async () => {
  const { status } = setup();
  expect(await status([missed])).toBe("undelivered");
  expect(await status([missed, waiting])).toBe("queued");
});

test("what waits for one user is looked for in the inbox", async () => {
  const { store, status, publish } = setup();
  await publish("before");
  await publish();
  await publish("after");
  expect(await status([waiting])).toBe("queued");
  const { epoch } = await store.top(ANN);
  await store.setMark(ANN, { epoch, offset: 2 });
  expect(await status([waiting])).toBe("delivered");
});

test("what left the inbox is expired: in time, by number or by hand", async () => {
  for (const leave of ["time", "number", "hand"] as const) {
    const { clock, store, status, publish } = setup();
    await publish();
    if (leave === "time") clock.advance(60_000);
    if (leave === "number") await publish("newer", 1);
    if (leave === "hand") await store.remove(ANN, "wanted");
    expect({ leave, status: await status([waiting]) }).toEqual({ leave, status: "expired" });
  }
});

test("an inbox of many pages is searched", async () => {
  const { status, publish } = setup();
  await publish("wanted", 5000);
  for (let i = 0; i < 2500; i++) await publish(`newer-${i}`, 5000);
  expect(await status([waiting])).toBe("queued");
});
