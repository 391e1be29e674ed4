// Why: Bun's `expect(promise).rejects` runs a nested event loop. Called from what a socket's message woke up, it waits for
// ever: the next message cannot be read before it returns. Tests of sockets await the error by themselves.

/** What the promise is rejected with. @throws Error when it is not */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`not rejected, but resolved with ${Bun.inspect(outcome.value)}`);
}
