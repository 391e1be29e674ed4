// Why: one server pod as a process of this machine: its container's environment, its Secrets as files, an address of its own with
// the usual ports. It must never outlive its test.
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type FleetNode, startNode } from "../fleet/node.ts";
import type { LogLine } from "../log-lines.ts";
import { nextAddress, type Pod, type PodApi, type SecretSource } from "../pod-api.ts";
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.ts";

/** `env`: more of the server's environment. `relayAdmin`: the operator reaches the admin port through a network that can be broken. */
export type HostPodOptions = { readonly env?: Readonly<Record<string, string>>; readonly relayAdmin?: boolean };

/** A volume's Secret, and the folder it is mounted in. */
type Mount = { readonly source: SecretSource; readonly place: string };

/** Where the server listens for the operator when a relay has the usual port. */
const BEHIND_RELAY = 19_091;
const READY_TIMEOUT_MS = 2_000;

export class HostPod implements AsyncDisposable {
  readonly name: string;
  readonly ip: string;
  /** Of the public port. */
  readonly url: string;
  readonly #folder: string;
  readonly #mounts: readonly Mount[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #relay: TcpProxy | undefined;
  /** What each file holds, so that only what changed is written. */
  readonly #written = new Map<string, string>();
  #process: FleetNode | undefined;

  private constructor(
    pod: Pod,
    { folder, ip, relay, env = {} }: HostPodOptions & { folder: string; ip: string; relay?: TcpProxy | undefined },
  ) {
    const [container] = pod.spec.containers;
    this.name = pod.metadata.name;
    this.ip = ip;
    this.url = `http://${ip}:8081`;
    this.#folder = folder;
    this.#relay = relay;
    this.#mounts = (container?.volumeMounts ?? []).flatMap(({ name, mountPath }) => {
      const volume = pod.spec.volumes?.find((one) => one.name === name);
      const sources = volume?.projected?.sources.map(({ secret }) => secret) ?? [volume?.secret];
      return sources.flatMap((source) => (source ? [{ source, place: join(folder, mountPath) }] : []));
    });
    const own = (container?.env ?? []).map(({ name, value }) => [name, value?.replace(/^(?=\/var\/run\/)/, folder) ?? this.name]);
    const hosts = { NEXUS_HTTP_HOST: ip, NEXUS_OPS_HOST: ip, NEXUS_ADMIN_HOST: ip };
    const ports = { NEXUS_HTTP_PORT: "8081", NEXUS_OPS_PORT: "9090", NEXUS_ADMIN_PORT: relay ? String(BEHIND_RELAY) : "9091" };
    this.#env = { ...Object.fromEntries(own), ...hosts, ...ports, ...env };
  }

  /** Mounts, and starts the container. @throws Error when a Secret is not there yet, or the server's own words when it ends */
  static async start(api: PodApi, pod: Pod, { env = {}, relayAdmin = false }: HostPodOptions = {}): Promise<HostPod> {
    await using stack = new AsyncDisposableStack();
    const ip = nextAddress();
    const folder = await mkdtemp(join(tmpdir(), "nexus-host-pod-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const listen = { host: ip, port: 9091 };
    const relay = relayAdmin ? stack.use(await startTcpProxy({ host: ip, port: BEHIND_RELAY }, { listen })) : undefined;
    const started = new HostPod(pod, { folder, ip, relay, env });
    await started.mount(api);
    await started.start();
    stack.move(); // disposing of the pod does all of it from here on
    return started;
  }

  get pid(): number {
    if (!this.#process) throw new Error(`${this.name} does not run`);
    return this.#process.pid;
  }

  /** Of its log, of the container that runs now. */
  get lines(): readonly LogLine[] {
    return this.#process?.lines ?? [];
  }

  /** The network between the operator and this pod. */
  get relay(): TcpProxy {
    if (!this.#relay) throw new Error("hostKubelet was not asked for relayAdmin");
    return this.#relay;
  }

  /** Starts the container again where it was killed. */
  async start(): Promise<void> {
    this.#process = await startNode(this.name, this.#env);
  }

  /** As a crash would; it stays dead until `start`. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  async isReady(): Promise<boolean> {
    if (!this.#process) return false;
    try {
      return (await fetch(`http://${this.ip}:9090/ready`, { signal: AbortSignal.timeout(READY_TIMEOUT_MS) })).ok;
    } catch {
      return false; // a process that is frozen or dying answers nobody
    }
  }

  /** Writes what Secrets hold now. Those that are optional are written before the start only, as a server reads them only then. */
  async mount(api: PodApi): Promise<void> {
    for (const { source, place } of this.#mounts) {
      if (source.optional && this.#process) continue;
      const name = source.secretName ?? source.name ?? "";
      const data = await api.secret(name);
      if (data === undefined && !source.optional) throw new Error(`the Secret ${name} is not there yet`);
      await mkdir(place, { recursive: true });
      for (const { key, path } of source.items ?? Object.keys(data ?? {}).map((each) => ({ key: each, path: each })))
        if (data?.[key]) await this.#write(join(place, path), data[key]);
    }
  }

  async #write(path: string, data: Buffer): Promise<void> {
    const text = data.toString("base64");
    if (this.#written.get(path) === text) return;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, data, { mode: 0o600 });
    await rename(`${path}.new`, path); // nobody ever reads half a file
    this.#written.set(path, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#relay?.[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
