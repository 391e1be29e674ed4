// Why: a publish as Redis takes it: one script, its arguments and its answer. It must never answer `published` before Redis
// said so, and never send a publish twice by itself.
import type { Directory, PublishOutcome, PublishRecord, PublishRequest, StreamStore } from "../../core/ports.ts";
import { encodeEntry } from "./entry-text.ts";
import { streamPartition } from "./keys.ts";
import type { RedisParts } from "./parts.ts";
import { PUBLISH, PUBLISH_LIVE } from "./publish-script.ts";
import { streamKeys } from "./stream-calls.ts";
import { listOf, numberOf, textOf } from "./stream-reply.ts";

/**
 * `directory`: asked only how many sessions an audience names. `confirm`: resolves when the replicas of a partition's primary
 * have what it answered; what is kept is not acknowledged before. Undefined: there are none to wait for.
 */
export type PublishDeps = {
  readonly directory: Pick<Directory, "online">;
  readonly confirm?: (partition: number) => Promise<void> | undefined;
};

export function createPublish(parts: RedisParts, { directory, confirm }: PublishDeps): StreamStore["publish"] {
  const { link, keys, clock, ids } = parts;
  return async (request) => {
    const { stream, notification, retention, idempotency } = request;
    const { ttl } = notification.metadata;
    const isDead = ttl === 0;
    if (isDead && !idempotency) return { kind: "published", record: recordOf(request, DEAD) };
    const now = clock.now();
    const online = isDead ? 0 : await addressed(request, directory);
    const key = streamKeys(keys, stream);
    const record = idempotency ? [keys.of(stream, "k", idempotency.key)] : [];
    const heard = [key(stream.kind === "inbox" ? "u" : "l"), key("s")];
    const said = [now, isDead ? "" : encodeEntry(notification), online, tailOf(request)];
    if (isDead || retention.entries === 0) {
      const reply = await link.run(PUBLISH_LIVE, [...heard, ...record], said);
      if (confirm && idempotency) await confirm(streamPartition(stream));
      return outcomeOf(request, reply);
    }
    const keepMs = retention.ttlSeconds * 1000;
    const ownEnd = ttl === undefined ? 0 : notification.occurredAt + ttl * 1000;
    const until = notification.occurredAt + keepMs;
    const expires = ownEnd === 0 ? until : Math.min(until, ownEnd);
    const kept = [key("m"), key("e"), key("a")];
    const args = [...said, ids.epoch(), retention.entries, expires, ownEnd, keepMs];
    const reply = await link.run(PUBLISH, [...heard, ...kept, ...record], args);
    if (confirm) await confirm(streamPartition(stream));
    return outcomeOf(request, reply);
  };
}

/** What a publish of ttl 0 answers: neither counted nor kept. */
const DEAD = "0 0 -";

/** How many sessions an audience names is the directory's to say; empty: the script counts. */
async function addressed({ stream, notification }: PublishRequest, directory: Pick<Directory, "online">): Promise<number | ""> {
  const { audience } = notification.metadata;
  return stream.kind === "broadcast" && audience && audience.type !== "All" ? await directory.online(stream, audience) : "";
}

/** What a replay cannot know from the request: the first one's facts. The fingerprint is last because it may hold anything. */
const tailOf = ({ notification, idempotency }: PublishRequest): string =>
  idempotency ? `${notification.occurredAt}\n${notification.id}\n${idempotency.fingerprint}` : "";

function outcomeOf(request: PublishRequest, reply: Awaited<ReturnType<RedisParts["link"]["run"]>>): PublishOutcome {
  if (typeof reply === "string") return { kind: "published", record: recordOf(request, reply) };
  const [, answer = "", occurredAt, id = "", ...fingerprint] = textOf(listOf(reply)[0]).split("\n");
  if (fingerprint.join("\n") !== request.idempotency?.fingerprint) return { kind: "conflict" };
  const notification = { ...request.notification, id, occurredAt: numberOf(occurredAt) };
  return { kind: "replayed", record: recordOf({ ...request, notification }, answer) };
}

/** `answer`: `<sessions> <offset> <epoch>`; offset 0: not kept. */
function recordOf({ stream, notification }: PublishRequest, answer: string): PublishRecord {
  const [sessions, at, epoch = ""] = answer.split(" ");
  const deliveredTo = numberOf(sessions);
  const offset = numberOf(at);
  const facts = { notificationId: notification.id, occurredAt: notification.occurredAt, deliveredTo };
  if (offset === 0) return { ...facts, queued: false };
  return { ...facts, position: { epoch, offset }, queued: deliveredTo === 0 && stream.kind === "inbox" };
}
