// Why: what one connection costs while it is silent is this object, so it has no closures, no timers and no empty
// collections. It holds state only: rules live beside it, in files named after them.

import type { Position } from "@nexus/protocol/cursor.ts";
import type { Listener } from "./audience.ts";
import type { Fan } from "./fan.ts";
import type { Frame } from "./frame.ts";
import type { Members } from "./members.ts";
import type { Outlet } from "./outlet.ts";
import type { Identity, SessionInfo, TenantTally, Transport } from "./ports.ts";

/**
 * Live frames held back while a stream is being joined. `since`: what was announced before, which is not among them. `first`: place of the first entry announced meanwhile, whoever it
 * was for. `gap`: why entries are missing among them; with `overflow` there were too many, and they were let go.
 */
export type Held = {
  frames: Frame[];
  bytes: number;
  readonly since: Position | undefined;
  first: Position | undefined;
  gap: string | undefined;
};

/** `unreadable`: the client had a cursor that says nothing; no stream can be verified. */
export type ResumePoints = ReadonlyMap<bigint, Position> | "unreadable";

/** Turns a frame into what one connection gets. It is told of every frame, in the order they are written. */
export type FrameEncoder = { encode(frame: Frame): string };

export type SessionStart = {
  readonly sessionId: string;
  readonly identity: Identity;
  readonly transport: Transport;
  /** The full dialect; otherwise Ara's. */
  readonly full: boolean;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  readonly resume?: ResumePoints;
  readonly encoder?: FrameEncoder;
};

export class Session implements SessionInfo, Listener {
  readonly sessionId: string;
  /** Replaced by `Refresh`, by one of the same user and tenant. */
  identity: Identity;
  readonly transport: Transport;
  readonly full: boolean;
  readonly connectedAt: number;

  /** Place in the pool's list; -1 while it is not there. */
  index = -1;
  outlet: Outlet | undefined;
  /** Set once, by whoever ends the session first. */
  ended = false;
  /** Whether it has its place in the directory. */
  entered = false;

  // What it listens to.
  inbox: Fan | undefined;
  broadcast: Fan | undefined;
  channels: Members<string> | undefined;
  joining: Map<Fan, Held> | undefined;
  /** Where the client says it stands, by hash of a stream's name; taken out as streams are joined. */
  resume: ResumePoints | undefined;
  /** Set where frames are not written as they are (SSE). */
  encoder: FrameEncoder | undefined;

  // What waits for it. `blocked`: the connection buffers, nothing more is written until it drained.
  queue: Frame[] | undefined;
  queuedBytes = 0;
  blocked = false;
  /** Its tenant's, while it is counted. */
  tally: TenantTally | undefined;
  dirty = false;
  /** Streams that lost entries while it was blocked, with the place of the last one lost. */
  lost: Map<Fan, Position> | undefined;
  onDrained: (() => void) | undefined;

  // What it sent. `busy`: a frame is being worked on, later ones wait in the backlog.
  busy = false;
  backlog: (string | Uint8Array)[] | undefined;
  backlogBytes = 0;
  paused = false;
  tokens = 0;
  tokensAt = 0;
  offences = 0;
  offencesAt = 0;

  // When something is due, in milliseconds of the monotonic clock.
  seenAt = 0;
  heartbeatAt = 0;

  constructor(start: SessionStart) {
    this.sessionId = start.sessionId;
    this.identity = start.identity;
    this.transport = start.transport;
    this.full = start.full;
    this.connectedAt = start.connectedAt;
    this.resume = start.resume;
    this.encoder = start.encoder;
  }

  get tenant(): string {
    return this.identity.tenant;
  }

  get user(): string {
    return this.identity.user;
  }

  get roles(): readonly string[] {
    return this.identity.roles;
  }

  holdsChannel(channel: string): boolean {
    return this.channels?.has(channel) ?? false;
  }
}
