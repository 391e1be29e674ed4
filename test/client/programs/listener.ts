// Why: an application of the client for any runtime, told by a test what to do and telling everything it hears, as lines of
// JSON. It must use nothing but what browsers and Node have alike.
import { NexusClient } from "@nexus/client/client.ts";

/** `cursor`: of an earlier run. `publishTo`: says something there once it listens. */
export type Orders = {
  readonly url: string;
  readonly token: string;
  readonly channel: string;
  readonly cursor?: string;
  readonly publishTo?: string;
};
export type Told =
  | { readonly what: "listening" | "published" | "disconnected" }
  | { readonly what: "notification"; readonly id: string; readonly stream: string; readonly cursor: string | undefined }
  | { readonly what: "gap"; readonly stream: string; readonly reason: string }
  | { readonly what: "error"; readonly code: string };

/** Runs until the page or process ends. Rejects with what the client rejects with. */
export async function listen({ channel, publishTo, ...options }: Orders, tell: (told: Told) => void): Promise<void> {
  const client = new NexusClient({ ...options, backoff: { baseMs: 10, maxMs: 50 } });
  client.on("notification", ({ id, stream }) => tell({ what: "notification", id, stream, cursor: client.cursor() }));
  client.on("gap", ({ stream, reason }) => tell({ what: "gap", stream, reason }));
  client.on("error", ({ code }) => tell({ what: "error", code }));
  client.on("state", ({ state }) => state === "disconnected" && tell({ what: "disconnected" }));
  await client.connect();
  await client.subscribe(channel, () => undefined);
  tell({ what: "listening" });
  if (publishTo === undefined) return;
  await client.publish(publishTo, "said", { by: "a listener" });
  tell({ what: "published" });
}
