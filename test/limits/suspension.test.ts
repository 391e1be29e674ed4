// Why: a tenant that is suspended, and a key that is taken away or replaced, mean it at once: proved at a whole server by the
// pushes an operator makes. Nobody else notices.
import { expect, test } from "bun:test";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { apiKey } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { KEY, type Pod, startPod } from "./every/pod.ts";

const SEND = "/api/v1/notifications/send";
const toAda = { target_user_id: "ada", event_type: "order.paid", payload: 1 };
const send = (pod: Pod, key = KEY) => pod.rest("POST", SEND, { key, body: toAda });
const outcome = async (pod: Pod, key = KEY) => {
  const { status, body } = await send(pod, key);
  return [status, body.code];
};

test("suspended: sessions end with 4504, requests are refused with 403, and what is kept is there again afterwards", async () => {
  await using pod = await startPod();
  await using socket = await pod.seated("ann");
  await using stream = await pod.stream("bob");
  await using other = await pod.seated("cat", { tenant_id: "other" });
  await stream.next("connected");
  expect(await outcome(pod)).toEqual([200, undefined]);

  await pod.push({ acme: { suspended: true } });
  expect(await socket.ending()).toMatchObject({ code: 4504 });
  expect((await stream.next("error")).data).toMatchObject({ code: "FORBIDDEN" });
  expect(await outcome(pod)).toEqual([403, "tenant_suspended"]);
  expect(await outcome(pod, "key-of-other")).toEqual([200, undefined]);
  await using late = await pod.socket("ann");
  expect(late.answer.status).toBe(403);
  await other.ask({ type: "Ping" }, "pong");

  await pod.push({ acme: { suspended: false } });
  expect(await outcome(pod)).toEqual([200, undefined]);
  await using ada = await pod.seated("ada");
  for (let i = 0; i < 2; i++) expect(await ada.next("notification")).toMatchObject({ event_type: "order.paid" });
});

test("a key that is taken out is refused with the next request; another one works from the same push on", async () => {
  await using pod = await startPod();
  await pod.push({ acme: { api_keys: [apiKey("all", "the-next-key")] } });
  expect(await outcome(pod)).toEqual([401, "unauthorized"]);
  expect(await outcome(pod, "the-next-key")).toEqual([200, undefined]);
});

test("of a rotated key both work until the old one's end, which takes no push", async () => {
  await using pod = await startPod();
  const until = (inMs: number) => new Date(Date.now() + inMs).toISOString();
  const key = (inMs: number) => ({
    ...apiKey("all", "the-next-key"),
    hashes: [{ sha256: sha256("the-next-key") }, { sha256: sha256(KEY), not_after: until(inMs) }],
  });
  await pod.push({ acme: { api_keys: [key(1_500)] } });
  expect(await outcome(pod)).toEqual([200, undefined]);
  expect(await outcome(pod, "the-next-key")).toEqual([200, undefined]);
  const ended = await eventually("the old one ends", async () => {
    const now = await outcome(pod);
    return now[0] === 200 ? undefined : now;
  });
  expect(ended).toEqual([401, "unauthorized"]);
  expect(await outcome(pod, "the-next-key")).toEqual([200, undefined]);
});
