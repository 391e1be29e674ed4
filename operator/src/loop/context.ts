// Why: what every pass of the loop works with, in one plain object that main fills in. No behaviour lives here.

import type { World } from "../desired/acceptance.ts";
import type { RenderContext } from "../desired/pod-template.ts";
import type { KubeObject } from "../plan/object.ts";
import type { Bundles } from "./bundles.ts";
import type { Children } from "./children.ts";
import type { Clock, Random } from "./clock.ts";
import type { GeneratedSecrets } from "./generated.ts";
import type { Key } from "./keys.ts";
import type { ChildApplier, EventRecorder, KubeApi, Leadership } from "./ports.ts";
import type { Pusher } from "./pusher.ts";
import type { SecretCache } from "./secrets.ts";
import type { StatusBook } from "./status-book.ts";
import type { Stores } from "./stores.ts";

/** `event` is a constant, fields hold names and numbers; never a value of a Secret. */
export type Log = (level: "debug" | "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;

export type Context = {
  readonly stores: Stores;
  readonly world: World;
  readonly api: KubeApi;
  readonly applier: ChildApplier;
  readonly leadership: Leadership;
  readonly children: Children;
  readonly secrets: SecretCache;
  readonly generated: GeneratedSecrets;
  readonly statuses: StatusBook;
  readonly events: EventRecorder;
  readonly pusher: Pusher;
  readonly bundles: Bundles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly render: RenderContext;
  /** Admin port of the servers. */
  readonly adminPort: number;
  /** Monotonic time at which this process began to lead. */
  readonly leadsSinceMs: number;
  readonly enqueue: (key: Key, afterMs?: number) => void;
};

/** Reconciliation of an object stops while this annotation is "true". */
export const isPaused = ({ metadata }: { readonly metadata: KubeObject["metadata"] }): boolean =>
  metadata.annotations?.["nexus.dev/paused"] === "true";
