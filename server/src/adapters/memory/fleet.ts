// Why: a fleet of one: every session is here, and there is no broker that could be away.
// It must never answer for a node that is not there.
import { type DisconnectRequest, type Fleet, NO_BROKER } from "../../core/fleet-ports.ts";
import type { Clock, Directory } from "../../core/ports.ts";

export type MemoryFleetOptions = { readonly node: string; readonly clock: Clock; readonly directory: Pick<Directory, "counts"> };

export function createMemoryFleet({ node, clock, directory }: MemoryFleetOptions): Fleet {
  const startedAt = clock.now();
  let end: (request: DisconnectRequest) => number = () => 0;
  return {
    async nodes() {
      const { websocket, sse, users } = await directory.counts();
      return [{ node, startedAt, sessions: websocket + sse, users }];
    },
    disconnect: async (request) => end(request),
    onDisconnect(handler) {
      end = handler;
    },
    broker: () => NO_BROKER,
  };
}
