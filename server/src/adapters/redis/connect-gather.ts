// Why: commands of one turn of the event loop leave in one write per connection; a write each costs more than the command.
// It must never hold a command beyond the turn it was made in, nor change the order.
import { Cluster, type Redis } from "ioredis";

/** What leaves at once, without waiting for the end of the turn: characters of one write. */
const MAX_GATHERED = 256 * 1024;

/** To be called before the client connects; covers every connection it makes. */
export function gatherCommands(client: Redis | Cluster): void {
  if (client instanceof Cluster) client.on("+node", gatherCommands);
  else client.on("connect", () => gatherWrites(client.stream));
}

/** The part of a socket that this needs. */
type Stream = Redis["stream"];

function gatherWrites(stream: Stream): void {
  const write = stream.write.bind(stream);
  let pending = "";
  const flush = () => {
    const text = pending;
    pending = "";
    // What was for a connection that ended is rejected by the client, which knows it.
    if (text !== "" && stream.writable && !stream.destroyed) write(text);
  };
  const gathered = (data: string | Uint8Array): boolean => {
    if (typeof data !== "string") {
      flush();
      return write(data);
    }
    if (pending === "") setImmediate(flush);
    pending += data;
    if (pending.length > MAX_GATHERED) flush();
    return true;
  };
  Object.defineProperty(stream, "write", { value: gathered, configurable: true, writable: true });
}
