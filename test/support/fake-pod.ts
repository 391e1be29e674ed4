// Why: a server pod as the operator meets it: the real admin protocol over real TLS, written a second time from the contract
// alone, so that operator and server cannot share a misreading. It answers what a server answers, wrong pushes included.
import { zstdDecompressSync } from "node:zlib";
import {
  ADMIN_PATHS,
  type AdminStatus,
  adminServerName,
  type BrokerWord,
  type NodeLoad,
  PushRequest,
  type RejectedEntry,
  ShedRequest,
} from "@nexus/protocol/admin.ts";
import {
  BUCKET_COUNT,
  BUNDLE_FORMAT,
  type BundleEntry,
  bucketDigest,
  bucketOf,
  bundleDigest,
  EMPTY_BUCKET,
  entryKey,
  isIntact,
} from "@nexus/protocol/bundle.ts";
import { Value } from "@sinclair/typebox/value";
import { type Authority, createAuthority } from "./cluster/pki.ts";

export type FakePodOptions = {
  readonly authority: Authority;
  readonly token: string;
  /** `namespace/name` of the NexusCluster. */
  readonly cluster: string;
  /** Loopback, IPv6 too; a pod's own address (127.x.y.z) lets several have the admin port 9091. */
  readonly ip?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** The certificate's name; default: the right one. */
  readonly serverName?: string;
};

/** One push as it arrived, and what was answered. */
export type Received = { readonly push: PushRequest; readonly status: number; readonly at: number };

export type FakePod = AsyncDisposable & {
  readonly ip: string;
  readonly port: number;
  /** Pushes in order of arrival. */
  readonly received: readonly Received[];
  /** `GET /admin/status` so far. */
  readonly asked: number;
  readonly confirmed: boolean;
  digest(): string;
  entry(key: string): BundleEntry | undefined;
  size(): number;
  fence(): { readonly term: string; readonly sequence: number };
  /** Lies in wait: accepts requests and never answers. */
  mute(isMute: boolean): void;
  /** Tells an entry to be unusable from now on, or usable again. */
  refuse(key: string, reason: string | undefined): void;
  /** Loses its memory, as a restarted container does; `entries` is its boot copy. */
  restart(entries?: readonly BundleEntry[]): void;
  /** Changes its memory behind everybody's back. */
  corrupt(key: string): void;
  /** What it says of its load from now on; `sessions` is also what a shed takes from. */
  carry(sessions: number, load?: Partial<NodeLoad>): void;
  readonly sessions: number;
  /** What it says of its broker from now on. */
  tell(broker: BrokerWord | undefined): void;
  /** What it was asked to send away, in order. */
  readonly sheds: readonly ShedRequest[];
  /** From now on says of every tombstone it is told that the tenant's data are gone. */
  purge(): void;
  /** Another cluster's clock: pretends to have heard this leader. */
  hear(term: string, sequence: number): void;
};

/** An authority for the admin port of one cluster, as PEM, with what the operator needs to call. */
export async function adminAuthority(
  cluster: string,
): Promise<{ authority: Authority; access: { serverName: string; caPem: string; token: string } }> {
  const authority = await createAuthority(`admin of ${cluster}`);
  return { authority, access: { serverName: nameOf(cluster), caPem: authority.certPem, token: `token-of-${cluster}` } };
}

const nameOf = (cluster: string): string => {
  const [namespace = "", name = ""] = cluster.split("/");
  return adminServerName(name, namespace);
};

export async function startFakePod(options: FakePodOptions): Promise<FakePod> {
  const { authority, token, cluster, ip = "127.0.0.1", port = 0, serverName = nameOf(cluster) } = options;
  const { certPem, keyPem } = await authority.issue({ commonName: "admin", hosts: [serverName] });
  const pod = new PodMemory();
  let isMute = false;
  let asked = 0;
  const received: Received[] = [];
  const silence = Promise.withResolvers<void>();

  const server = Bun.serve({
    hostname: ip,
    port,
    tls: { cert: certPem, key: keyPem },
    idleTimeout: 0,
    async fetch(request) {
      if (isMute) await silence.promise;
      if (request.headers.get("authorization") !== `Bearer ${token}`) return problem(401, "Token missing or rejected");
      const { pathname } = new URL(request.url);
      if (request.method === "GET" && pathname === ADMIN_PATHS.status) {
        asked++;
        return Response.json(pod.status(cluster));
      }
      if (request.method === "POST" && pathname === ADMIN_PATHS.shed) return pod.shed(await request.json());
      if (request.method !== "POST" || pathname !== ADMIN_PATHS.bundle) return problem(404, "No such operation");
      const push = await bodyOf(request);
      if (push === undefined) return problem(422, "Request does not match the contract");
      const answer = pod.push(push);
      received.push({ push, status: answer.status, at: performance.now() });
      return answer;
    },
  });

  return {
    ip,
    port: server.port ?? port,
    received,
    get asked() {
      return asked;
    },
    get confirmed() {
      return pod.confirmed;
    },
    digest: () => pod.digest(),
    entry: (key) => pod.entries.get(key),
    size: () => pod.entries.size,
    fence: () => ({ term: pod.term.toString(), sequence: pod.sequence }),
    mute(value) {
      isMute = value;
    },
    refuse(key, reason) {
      if (reason === undefined) pod.refused.delete(key);
      else pod.refused.set(key, reason);
    },
    restart: (entries) => pod.restart(entries),
    corrupt: (key) => void pod.entries.delete(key),
    carry(sessions, load = {}) {
      pod.sessions = sessions;
      pod.load = { ...IDLE, ...load };
    },
    tell(broker) {
      pod.broker = broker;
    },
    get sessions() {
      return pod.sessions;
    },
    sheds: pod.sheds,
    purge() {
      pod.purges = true;
    },
    hear(term, sequence) {
      pod.term = BigInt(term);
      pod.sequence = sequence;
    },
    async [Symbol.asyncDispose]() {
      silence.resolve();
      await server.stop(true);
    },
  };
}

const problem = (status: number, title: string): Response =>
  Response.json({ title, status }, { status, headers: { "content-type": "application/problem+json" } });

/** Undefined when the body does not have the contract's outer shape. Entries are judged one by one later. */
async function bodyOf(request: Request): Promise<PushRequest | undefined> {
  const bytes = await request.bytes();
  const isCompressed = request.headers.get("content-encoding") === "zstd";
  const value = JSON.parse((isCompressed ? zstdDecompressSync(bytes) : Buffer.from(bytes)).toString()) as PushRequest;
  const wanted = Object.keys(PushRequest.properties).filter((name) => name !== "reset");
  const isShaped = wanted.every((name) => name in value) && /^[0-9]{1,20}$/.test(value.term) && Number.isInteger(value.sequence);
  return isShaped && value.format === BUNDLE_FORMAT ? value : undefined;
}

const IDLE: NodeLoad = {
  ...{ messages_per_second: 0, loop_lag_p99_ms: 1, cpu_cores: 0.01, rss_bytes: 50e6, memory_limit_bytes: 0 },
  ...{ accepts_per_second: 500, sessions_opened: 0, sessions_refused: 0 },
};

/** What a server remembers: entries by key, and the youngest leader. */
class PodMemory {
  entries = new Map<string, BundleEntry>();
  readonly refused = new Map<string, string>();
  term = 0n;
  sequence = 0;
  confirmed = false;
  sessions = 0;
  broker: BrokerWord | undefined;
  load: NodeLoad = IDLE;
  readonly sheds: ShedRequest[] = [];
  purges = false;

  restart(entries: readonly BundleEntry[] = []): void {
    this.entries = new Map(entries.map((entry) => [entryKey(entry), entry]));
    this.term = 0n;
    this.sequence = 0;
    this.confirmed = false;
  }

  digest(): string {
    return bundleDigest(this.#digests());
  }

  status(cluster: string): AdminStatus {
    const tombstones = this.purges ? [...this.entries.values()].filter(({ kind }) => kind === "tombstone") : [];
    return {
      ...(tombstones.length > 0 ? { purged: tombstones.map(({ id, uid }) => ({ tenant_id: id, uid })) } : {}),
      version: "fake",
      cluster,
      bundle_formats: [BUNDLE_FORMAT],
      digest: this.digest(),
      buckets: this.#digests(),
      term: this.term.toString(),
      sequence: this.sequence,
      ready: this.confirmed,
      draining: false,
      sessions: this.sessions,
      ...(this.broker ? { broker: this.broker } : {}),
      uptime_seconds: 1,
      load: this.load,
    };
  }

  push(push: PushRequest): Response {
    const term = BigInt(push.term);
    const isOlder = term < this.term || (term === this.term && push.sequence < this.sequence);
    if (isOlder && !push.reset) return Response.json({ term: this.term.toString(), sequence: this.sequence }, { status: 412 });
    this.term = term;
    this.sequence = push.sequence;
    const digests = this.#digests();
    const elsewhere = push.buckets.filter((bucket) => !bucket.full && bucket.from !== digests[bucket.index]);
    if (elsewhere.length > 0) {
      const buckets = elsewhere.map(({ index }) => ({ index, digest: digests[index] }));
      return Response.json({ digest: this.digest(), buckets }, { status: 409 });
    }
    const next = new Map(this.entries);
    for (const bucket of push.buckets) {
      if (bucket.full) for (const [key, entry] of next) if (bucketOf(entry.id) === bucket.index) next.delete(key);
      for (const key of bucket.removed) next.delete(key);
      for (const entry of bucket.entries) {
        if (!isIntact(entry) || bucketOf(entry.id) !== bucket.index) return problem(422, "An entry is not what its digest says");
        next.set(entryKey(entry), entry);
      }
    }
    const after = digestsOf(next);
    if (push.buckets.some((bucket) => after[bucket.index] !== bucket.to)) return problem(422, "The push contradicts itself");
    this.entries = next;
    if (push.digest === this.digest()) this.confirmed = true;
    return Response.json({ digest: this.digest(), rejected: this.#rejected() });
  }

  /** They go at once: the pace is the server's own tests'. */
  shed(body: unknown): Response {
    if (!Value.Check(ShedRequest, body)) return problem(422, "Request does not match the contract");
    this.sheds.push(body);
    const sessions = Math.min(body.sessions, this.sessions);
    this.sessions -= sessions;
    return Response.json({ sessions }, { status: 202 });
  }

  #rejected(): RejectedEntry[] {
    return [...this.refused].flatMap(([key, reason]) => {
      const entry = this.entries.get(key);
      return entry ? [{ key, uid: entry.uid, generation: entry.generation, reason }] : [];
    });
  }

  #digests(): string[] {
    return digestsOf(this.entries);
  }
}

function digestsOf(entries: ReadonlyMap<string, BundleEntry>): string[] {
  const sorted: string[][] = Array.from({ length: BUCKET_COUNT }, () => []);
  for (const entry of entries.values()) sorted[bucketOf(entry.id)]?.push(entry.digest);
  return sorted.map((digests) => (digests.length === 0 ? EMPTY_BUCKET : bucketDigest(digests)));
}
