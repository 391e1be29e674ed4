// Why: a process of several hears its parent through the channel it was spawned with, and nowhere else.
import type { ParentLine } from "./child.ts";
import type { ToProcess } from "./messages.ts";

/** @throws Error when this process was not spawned by a parent of ours */
export function openParentLine(): ParentLine {
  const send = process.send?.bind(process);
  if (!send) throw new Error("there is no parent to talk to");
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  process.on("disconnect", () => resolve());
  return {
    closed,
    send: (message) => {
      if (process.connected) send(message);
    },
    // Only the program that spawned us has the other end.
    onMessage: (handler) => process.on("message", (message) => handler(message as ToProcess)),
  };
}
