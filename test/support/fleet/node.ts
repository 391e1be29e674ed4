// Why: one server as a process of its own, as it runs in a pod: killed, drained and read from outside only.
// It must never outlive the test that started it.
import { join } from "node:path";
import { diesWithUs } from "../dies-with-us.ts";
import { eventually } from "../eventually.ts";
import { type LogLine, readLogLines } from "../log-lines.ts";

export type FleetNode = AsyncDisposable & {
  readonly name: string;
  /** `http://127.0.0.1:…` of the public port and of the ops port. */
  readonly url: string;
  readonly opsUrl: string;
  readonly pid: number;
  readonly lines: readonly LogLine[];
  /** False from the moment it was killed or asked to go. */
  readonly isServing: boolean;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves with the exit code once it has let everybody go. */
  drain(): Promise<number>;
};

const MAIN = join(import.meta.dir, "../../../server/src/main.ts");
/** Log lines kept: enough to say what went wrong. */
const MAX_LINES = 5000;

/** `env`: settings by the names of the configuration. Resolves once the node is ready to serve. */
export async function startNode(name: string, env: Readonly<Record<string, string>>): Promise<FleetNode> {
  const loopback = { NEXUS_HTTP_HOST: "127.0.0.1", NEXUS_HTTP_PORT: "0", NEXUS_OPS_HOST: "127.0.0.1", NEXUS_OPS_PORT: "0" };
  const child = Bun.spawn(diesWithUs([process.execPath, MAIN]), {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    env: { ...loopback, NEXUS_NODE: name, ...env },
  });
  const lines: LogLine[] = [];
  const reading = readLogLines(child.stdout, lines, MAX_LINES);
  const complaint = new Response(child.stderr).text();
  let isServing = true;
  const portOf = async (event: string) => {
    const found = () => lines.find((one) => one.event === event) ?? (child.exitCode === null ? undefined : "ended");
    const line = await eventually(`${name} says ${event}`, found, { intervalMs: 10, timeoutMs: 30_000 });
    if (line !== "ended") return Number(line.port);
    throw new Error(`${name} ended with ${child.exitCode}: ${await complaint} ${JSON.stringify(lines.slice(-3))}`);
  };
  const kill = async () => {
    isServing = false;
    child.kill("SIGKILL");
    await child.exited;
    await reading;
  };
  try {
    const [port, opsPort] = [await portOf("server.started"), await portOf("ops.listening")];
    return {
      ...{ name, lines, kill, pid: child.pid },
      ...{ url: `http://127.0.0.1:${port}`, opsUrl: `http://127.0.0.1:${opsPort}` },
      get isServing() {
        return isServing && child.exitCode === null;
      },
      async drain() {
        isServing = false;
        child.kill("SIGTERM");
        return await child.exited;
      },
      [Symbol.asyncDispose]: kill,
    };
  } catch (error) {
    await kill();
    throw error;
  }
}
