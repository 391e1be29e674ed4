// Why: commands of one turn of the event loop leave in one write per connection; a write each costs more than the command.
// It must never hold a command beyond the turn it was made in.

/** The part of a socket that this needs. */
export type Corkable = { cork(): void; uncork(): void };

/** To be called before a command is sent. `streams`: the open connections that it may go to. */
export function createGather(streams: () => readonly (Corkable | undefined)[]): () => void {
  let corked: readonly (Corkable | undefined)[] = [];
  let isCorked = false;
  const flush = () => {
    isCorked = false;
    for (const stream of corked) stream?.uncork();
    corked = [];
  };
  return () => {
    if (isCorked) return;
    isCorked = true;
    corked = streams();
    for (const stream of corked) stream?.cork();
    setImmediate(flush);
  };
}
