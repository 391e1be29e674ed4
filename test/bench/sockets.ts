// Why: opens many idle sockets the same way against Nexus and against the floor, so that only the server differs.

export type OpenSocket = { readonly socket: WebSocket; readonly close: () => void };

/** Opens `count` sockets, at most 200 handshakes at once; `greet` is sent on each, and one frame is awaited as the answer. */
export async function openSockets(count: number, urlOf: (index: number) => string, greet: string): Promise<readonly OpenSocket[]> {
  const open: OpenSocket[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) open.push(await openOne(urlOf(next++), greet));
  };
  await Promise.all(Array.from({ length: 200 }, worker));
  return open;
}

function openOne(url: string, greet: string): Promise<OpenSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send(greet);
    socket.onmessage = () => {
      socket.onmessage = null;
      resolve({ socket, close: () => socket.close() });
    };
    socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
    socket.onerror = () => reject(new Error(`cannot connect to ${new URL(url).host}`));
  });
}
