// Why: several real server processes that act as one, each with a network to Redis of its own that a test can break.
// It must never share memory with them: what a test knows of a node, it knows from outside.
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.ts";
import { type FleetBoot, writeBoot } from "./boot.ts";
import { type FleetNode, startNode } from "./node.ts";

export type Fleet = AsyncDisposable & {
  readonly nodes: readonly FleetNode[];
  /** By node; empty where nodes find Redis by themselves (Sentinel, Cluster). */
  readonly proxies: readonly TcpProxy[];
  readonly boot: FleetBoot;
  /** The next one that serves, in turn: what a balancer that knows its endpoints would choose. */
  next(): FleetNode;
  /** Fails when a server logged an error that is no refusal for want of Redis. */
  checkErrors(): void;
};

/**
 * `redis`: where it is. `address`: one server, reached through a proxy per node. `env`: settings that name it otherwise.
 * `settings`: more of every node's environment.
 */
export type FleetOptions = {
  readonly nodes: number;
  readonly redis: { readonly address: string } | { readonly env: Readonly<Record<string, string>> };
  readonly settings?: Readonly<Record<string, string>>;
};

export async function startFleet({ nodes: count, redis, settings = {} }: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const boot = stack.use(await writeBoot());
  const proxies: TcpProxy[] = [];
  const envs: Record<string, string>[] = [];
  for (let index = 0; index < count; index++) {
    if ("env" in redis) {
      envs.push({ ...redis.env });
      continue;
    }
    const [host = "127.0.0.1", port = "6379"] = redis.address.split(":");
    const proxy = stack.use(await startTcpProxy({ host, port: Number(port) }, { mark: "subscribe" }));
    proxies.push(proxy);
    envs.push({ NEXUS_REDIS_ADDRESSES: `127.0.0.1:${proxy.port}` });
  }
  const common = { NEXUS_ENGINE: "redis", NEXUS_BOOT_DIRECTORY: boot.directory, NEXUS_DRAIN_PROPAGATION_SECONDS: "1", ...settings };
  const nodes = await Promise.all(envs.map(async (env, index) => stack.use(await startNode(`node-${index}`, { ...common, ...env }))));
  const owned = stack.move();
  let turn = 0;
  return {
    ...{ nodes, proxies, boot },
    next() {
      const serving = nodes.filter(({ isServing }) => isServing);
      const node = serving[turn++ % serving.length];
      if (!node) throw new Error("no node serves");
      return node;
    },
    checkErrors() {
      for (const { name, lines } of nodes) {
        const bad = lines.filter(({ level, code }) => level === "error" && code !== "broker_unavailable");
        if (bad.length > 0) throw new Error(`${name} logged errors: ${JSON.stringify(bad.slice(0, 5))}`);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
