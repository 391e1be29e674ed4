// Why: a listener for the terminal, made of the same client that applications use. It prints what arrives, line by line, and
// says on the other stream how the connection is.
import { NexusClient } from "@nexus/client/client.ts";
import type { Notification } from "@nexus/client/events.ts";
import { command, required, UsageError } from "../command.ts";
import type { Io } from "../io.ts";

export const listen = command(
  {
    line: "listen --url URL --token TOKEN [--channel NAME]…",
    about: "Connects as the user the token names and prints what arrives. Ends with Ctrl-C, or after --count.",
    options: [
      { name: "--url", value: "URL", about: "Address of the server. Or NEXUS_URL in the environment." },
      { name: "--token", value: "TOKEN", about: "The user's token. Or NEXUS_TOKEN in the environment." },
      { name: "--channel", value: "NAME", many: true, about: "A channel to subscribe. May be repeated." },
      { name: "--output", value: "FORMAT", about: "text (default) or json: one notification a line." },
      { name: "--count", value: "N", about: "End after this many notifications." },
    ],
    examples: ['listen --url http://127.0.0.1:8081 --token "$TOKEN" --channel orders.17'],
  },
  async (args, io) => {
    const url = required(args, "--url", io, "NEXUS_URL");
    const token = required(args, "--token", io, "NEXUS_TOKEN");
    const output = args.get("--output") ?? "text";
    const count = args.get("--count");
    if (output !== "text" && output !== "json") throw new UsageError("--output: must be text or json");
    if (count !== undefined && !/^[1-9]\d{0,8}$/.test(count)) throw new UsageError("--count: must be a whole number, at least 1");
    let client: NexusClient;
    try {
      client = new NexusClient({ url, token });
    } catch {
      throw new UsageError("--url: must be an address such as http://127.0.0.1:8081");
    }
    return await follow(client, args.all("--channel"), {
      io,
      show: output === "json" ? JSON.stringify : textOf,
      count: Number(count ?? 0),
    });
  },
);

type Manner = { readonly io: Io; readonly show: (one: Notification) => string; readonly count: number };

async function follow(client: NexusClient, channels: readonly string[], { io, show, count }: Manner): Promise<number> {
  const ended = Promise.withResolvers<number>();
  let seen = 0;
  let isLeaving = false;
  const leave = (code: number) => {
    isLeaving = true;
    client.close();
    ended.resolve(code);
  };
  client.on("notification", (one) => {
    if (isLeaving) return;
    io.out(show(one));
    if (++seen === count) leave(0);
  });
  client.on("gap", ({ stream, reason }) => io.err(`notifications may be missing on ${stream}: ${reason}`));
  client.on("unsubscribed", ({ channel, error }) => io.err(`${channel}: ${error.message}`));
  client.on("error", (error) => io.err(`${error.code}: ${error.message}`));
  client.on("state", ({ state, reason, retryInMs }) => {
    if (isLeaving || state === "connecting") return;
    if (state === "connected") io.err("connected");
    if (state === "disconnected") io.err(`disconnected${reason ? ` (${reason})` : ""}, again in ${((retryInMs ?? 0) / 1000).toFixed(1)} s`);
    if (state === "closed") {
      io.err(`nexus: closed: ${reason ?? "no reason given"}`);
      ended.resolve(1);
    }
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => leave(0));
  for (const channel of channels) {
    client
      .subscribe(channel, () => undefined)
      .then(
        () => io.err(`subscribed to ${channel}`),
        (error: unknown) => {
          if (!isLeaving) io.err(`${channel}: ${error instanceof Error ? error.message : String(error)}`);
        },
      );
  }
  client.connect().catch(() => undefined); // the state listener has said why
  return await ended.promise;
}

const textOf = ({ occurred_at, stream, event_type, payload }: Notification): string =>
  `${occurred_at}  ${stream}  ${event_type}  ${JSON.stringify(payload)}`;
