// Why: twenty pods with 100,000 entries each would measure this process and not the operator. A lean pod speaks the real admin
// protocol over TLS, checks what it is told by digests, keeps digests only, and says when an entry arrived.
import { zstdDecompressSync } from "node:zlib";
import { ADMIN_PATHS, type AdminStatus, type PushRequest } from "@nexus/protocol/admin.ts";
import { BUCKET_COUNT, BUNDLE_FORMAT, bucketDigest, bundleDigest, EMPTY_BUCKET, entryKey } from "@nexus/protocol/bundle.ts";

export type LeanPodOptions = {
  readonly certPem: string;
  readonly keyPem: string;
  readonly token: string;
  readonly cluster: string;
  readonly ip: string;
  /** An entry is live on this pod. */
  readonly onEntry: (key: string, generation: number) => void;
};

export type LeanPod = AsyncDisposable & {
  readonly isConfirmed: boolean;
  readonly size: number;
  readonly term: bigint;
  readonly pushes: number;
};

const ADMIN_PORT = 9091;
/** The same texts arrive at every pod; one copy is enough. */
const texts = new Map<string, string>();
const shared = (text: string): string => {
  const known = texts.get(text);
  if (known !== undefined) return known;
  texts.set(text, text);
  return text;
};

export function startLeanPod({ certPem, keyPem, token, cluster, ip, onEntry }: LeanPodOptions): LeanPod {
  const buckets = Array.from({ length: BUCKET_COUNT }, () => new Map<string, string>());
  const digests = Array.from({ length: BUCKET_COUNT }, () => EMPTY_BUCKET);
  let [term, sequence, isConfirmed, pushes] = [0n, 0, false, 0];

  const status = (): AdminStatus => ({
    ...{ version: "bench", cluster, bundle_formats: [BUNDLE_FORMAT], digest: bundleDigest(digests), buckets: digests },
    ...{ term: term.toString(), sequence, ready: isConfirmed, draining: false, sessions: 0, uptime_seconds: 1 },
  });
  const take = (push: PushRequest): Response => {
    const theirs = BigInt(push.term);
    if (theirs < term || (theirs === term && push.sequence < sequence))
      return Response.json({ term: term.toString(), sequence }, { status: 412 });
    [term, sequence] = [theirs, push.sequence];
    const elsewhere = push.buckets.filter((bucket) => !bucket.full && bucket.from !== digests[bucket.index]);
    if (elsewhere.length > 0) {
      const now = elsewhere.map(({ index }) => ({ index, digest: digests[index] }));
      return Response.json({ digest: bundleDigest(digests), buckets: now }, { status: 409 });
    }
    for (const { index, full, removed, entries, to } of push.buckets) {
      const bucket = full ? new Map<string, string>() : (buckets[index] ?? new Map<string, string>());
      for (const key of removed) bucket.delete(key);
      for (const entry of entries) bucket.set(shared(entryKey(entry)), shared(entry.digest));
      buckets[index] = bucket;
      digests[index] = bucketDigest(bucket.values());
      if (digests[index] !== to) return Response.json({ title: `bucket ${index} came to another digest` }, { status: 422 });
      for (const entry of entries) onEntry(entryKey(entry), entry.generation);
    }
    pushes++;
    if (bundleDigest(digests) === push.digest) isConfirmed = true;
    return Response.json({ digest: bundleDigest(digests), rejected: [] });
  };
  const server = Bun.serve({
    ...{ hostname: ip, port: ADMIN_PORT, tls: { cert: certPem, key: keyPem }, idleTimeout: 0, maxRequestBodySize: 64 * 1024 * 1024 },
    async fetch(request) {
      if (request.headers.get("authorization") !== `Bearer ${token}`) return new Response(undefined, { status: 401 });
      if (request.method === "GET" && new URL(request.url).pathname === ADMIN_PATHS.status) return Response.json(status());
      const bytes = await request.bytes();
      const text = request.headers.get("content-encoding") === "zstd" ? zstdDecompressSync(bytes) : Buffer.from(bytes);
      return take(JSON.parse(text.toString()) as PushRequest); // what it says is judged by digests
    },
  });
  return {
    get isConfirmed() {
      return isConfirmed;
    },
    get size() {
      return buckets.reduce((sum, bucket) => sum + bucket.size, 0);
    },
    get term() {
      return term;
    },
    get pushes() {
      return pushes;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
