// Why: at night a fleet has to say more, for a while, without a restart, and nobody should have to remember to turn it down again.
import { LOG_LEVELS, type LogLevel } from "@nexus/protocol/config.ts";
import type { Arguments } from "../args.ts";
import { command, UsageError, wholeNumber } from "../command.ts";
import type { Io } from "../io.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { changeHere, type Wish } from "../log-level/here.ts";
import { changeThere, type Place, podsOf } from "../log-level/pods.ts";

const isLevel = (word: string): word is LogLevel => (LOG_LEVELS as readonly string[]).includes(word);

export const logLevel = command(
  {
    line: "log-level LEVEL [CLUSTER | --operator] [flags]",
    about:
      "Changes how much the servers of a NexusCluster, or the operator, log: debug, info, warn or error. With --minutes it goes back by\nitself. Pods that start later log as usual. It runs kubectl exec, and needs the right to; without CLUSTER and --operator it changes\nthe process of the pod it is run in.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--operator", about: "The operator's pods, in whatever namespace they are." },
      { name: "--minutes", value: "N", about: "Then it goes back to the usual level (1 to 1440; absent: it stays until the next change)." },
    ],
    examples: ["log-level debug live -n shop --minutes 10", "log-level info --operator"],
    words: "LEVEL CLUSTER",
  },
  async (args, io) => {
    const [level = "", cluster, ...rest] = args.words;
    if (!isLevel(level)) throw new UsageError(`LEVEL: must be ${LOG_LEVELS.slice(0, -1).join(", ")} or ${LOG_LEVELS.at(-1)}`);
    if (rest.length > 0) throw new UsageError(`${rest[0]}: only one CLUSTER`);
    if (cluster !== undefined && args.has("--operator")) throw new UsageError("--operator: does not go with a CLUSTER");
    const minutes = args.has("--minutes") ? wholeNumber(args, "--minutes", { least: 1, most: 1440, fallback: 1 }) : undefined;
    const wish: Wish = { level, minutes };
    if (cluster !== undefined) return await remote(args, io, { place: { cluster }, wish });
    if (args.has("--operator")) return await remote(args, io, { place: "operator", wish });
    return await local(io, wish);
  },
);

async function local(io: Io, wish: Wish): Promise<number> {
  try {
    await changeHere(io.env, wish);
  } catch (error) {
    io.err(`nexus: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  io.out(saidOf("This process", wish));
  return 0;
}

const saidOf = (who: string, { level, minutes }: Wish): string =>
  `${who} logs at ${level}${minutes === undefined ? "" : ` for ${minutes} minutes`}.`;

async function remote(args: Arguments, io: Io, { place, wish }: { readonly place: Place; readonly wish: Wish }): Promise<number> {
  const reach = ["--kubeconfig", "--context"].flatMap((name) => (args.get(name) === undefined ? [] : [`${name}=${args.get(name)}`]));
  return await withCluster(args, io, async (connection) => {
    const pods = await podsOf(connection, place);
    if (pods.length === 0) {
      io.err(
        `nexus: no ready pod of ${place === "operator" ? "the operator" : `NexusCluster ${connection.namespace}/${place.cluster}`} is there`,
      );
      return 1;
    }
    const told = await changeThere(pods, place === "operator" ? "operator" : "server", { wish, reach, env: io.env });
    for (const { pod, problem } of told) {
      if (problem === undefined) io.out(saidOf(`Pod ${pod}`, wish));
      else io.err(`nexus: Pod ${pod}: ${problem}`);
    }
    return told.every(({ problem }) => problem === undefined) ? 0 : 1;
  });
}
