// Why: programs that take no port 0 are given one that was free a moment ago. Whoever can listen on port 0 does that instead.
import { createServer } from "node:net";

/** On loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
