// Why: what other nodes hold, asked of Redis in as few commands as there are partitions.
// It must never count this node: what is here is known better here.
import type { PresenceCounts, SessionPlace, StreamId } from "../../core/ports.ts";
import { PARTITIONS, streamPartition } from "./keys.ts";
import type { Reply, Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import { ELSEWHERE, LISTENING, LIVE, NAMES } from "./presence-scripts.ts";
import { type NodeSaid, ownBeginning, readNode, readSession, readTenant } from "./presence-text.ts";

/** Keys of one script call; keeps a call well under a millisecond of Redis. */
export const KEYS_PER_CALL = 100;

export type Listening = { readonly sessions: number; readonly since: number | undefined };
type TenantElsewhere = ReturnType<typeof readTenant>;

export class PresenceReads {
  readonly #parts: RedisParts;
  readonly #beginning: string;

  constructor(parts: RedisParts) {
    this.#parts = parts;
    this.#beginning = ownBeginning(parts.self);
  }

  /** Sessions of each inbox on other nodes, in the order asked. */
  async sessions(inboxes: readonly StreamId[]): Promise<readonly number[]> {
    const replies = await this.#each(inboxes, { kind: "u", script: ELSEWHERE, arg: this.#beginning });
    return replies.map((reply) => wholeOf(reply[0]));
  }

  /** Listeners of each channel or broadcast on other nodes, in the order asked. */
  async listening(streams: readonly StreamId[]): Promise<readonly Listening[]> {
    const replies = await this.#each(streams, { kind: "l", script: LISTENING, arg: this.#parts.self });
    return replies.map(([sessions, since]) => ({ sessions: wholeOf(sessions), since: since === "" ? undefined : wholeOf(since) }));
  }

  /** A user's sessions on other nodes. */
  async places(tenant: string, user: string): Promise<readonly SessionPlace[]> {
    const live = await this.#live(this.#parts.keys.of({ kind: "inbox", tenant, user }, "u"));
    return live.flatMap(([sessionId, text]) => {
      return text.startsWith(this.#beginning) ? [] : (readSession({ tenant, user, sessionId }, text) ?? []);
    });
  }

  /** What other nodes say of a tenant. */
  async tenant(tenant: string): Promise<readonly TenantElsewhere[]> {
    const live = await this.#live(this.#parts.keys.of({ kind: "broadcast", tenant }, "l"));
    return live.flatMap(([self, text]) => (self === this.#parts.self ? [] : [readTenant(text)]));
  }

  /** Other nodes, by `self`. */
  async nodes(): Promise<ReadonlyMap<string, NodeSaid>> {
    const live = await this.#live(this.#parts.keys.fleet("nodes"));
    const nodes = new Map<string, NodeSaid>();
    for (const [self, text] of live) {
      const said = self === this.#parts.self ? undefined : readNode(text);
      if (said) nodes.set(self, said);
    }
    return nodes;
  }

  async channelNames(tenant: string): Promise<readonly string[]> {
    return texts(await this.#parts.link.run(NAMES, [this.#parts.keys.ofTenant(tenant, "c")], ["names"]));
  }

  async channelCount(tenant: string): Promise<PresenceCounts["channels"]> {
    return wholeOf(await this.#parts.link.run(NAMES, [this.#parts.keys.ofTenant(tenant, "c")], ["count"]));
  }

  async #live(key: string): Promise<readonly (readonly [string, string])[]> {
    const flat = texts(await this.#parts.link.run(LIVE, [key], []));
    return Array.from({ length: flat.length / 2 }, (_, i) => [flat[i * 2] ?? "", flat[i * 2 + 1] ?? ""] as const);
  }

  /** Runs a script over keys of many partitions; each key's part of the reply, in the order asked. */
  async #each(
    streams: readonly StreamId[],
    { kind, script, arg }: { readonly kind: "u" | "l"; readonly script: Script; readonly arg: string },
  ): Promise<readonly (readonly Reply[])[]> {
    const { keys, link } = this.#parts;
    const answers: (readonly Reply[])[] = streams.map(() => []);
    const lots = lotsOf(streams);
    await Promise.all(
      lots.map(async (lot) => {
        const names = lot.map((at) => keys.of(streams[at] as StreamId, kind)); // a lot holds places in `streams`
        const reply = await link.run(script, names, [arg]);
        const list = Array.isArray(reply) ? (reply as readonly Reply[]) : []; // a list, as the script says
        const width = list.length / lot.length;
        lot.forEach((at, i) => {
          answers[at] = list.slice(i * width, (i + 1) * width);
        });
      }),
    );
    return answers;
  }
}

/** Places in `streams` that one call may ask together. */
function lotsOf(streams: readonly StreamId[]): readonly (readonly number[])[] {
  const byPartition: (number[] | undefined)[] = Array.from({ length: PARTITIONS });
  const lots: number[][] = [];
  streams.forEach((stream, at) => {
    const partition = streamPartition(stream);
    let lot = byPartition[partition];
    if (!lot || lot.length === KEYS_PER_CALL) {
      lot = [];
      lots.push(lot);
      byPartition[partition] = lot;
    }
    lot.push(at);
  });
  return lots;
}

export const wholeOf = (reply: Reply | undefined): number =>
  reply === null || reply === undefined || reply === "" ? 0 : Number(reply) || 0;

const texts = (reply: Reply): readonly string[] => (Array.isArray(reply) ? (reply as readonly Reply[]).map(String) : []);
