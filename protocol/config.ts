// Why: every setting of one server process, with default, unit and meaning, in one schema; the names of environment
// variables and flags are derived from it, never typed twice. What a whole cluster shares (limits, delivery) comes from
// the bundle; the same fields here are overrides for one process. It must never read the environment itself.
import { FormatRegistry, type Static, type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { parseRange } from "./addresses.ts";
import { Delivery, Limits } from "./resources/settings.ts";

const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):[0-9]{1,5}$/;

if (!FormatRegistry.Has("host-port")) FormatRegistry.Set("host-port", (text) => HOST_PORT.test(text));
if (!FormatRegistry.Has("address-range")) FormatRegistry.Set("address-range", (text) => parseRange(text) !== undefined);

if (!FormatRegistry.Has("collector-url")) FormatRegistry.Set("collector-url", isCollectorUrl);

/** Empty, or an http(s) address without credentials: those would be told to whoever reads settings. */
export function isCollectorUrl(text: string): boolean {
  if (text === "") return true;
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const ENGINES = ["memory", "sqlite", "redis"] as const;
export const REDIS_TOPOLOGIES = ["standalone", "sentinel", "cluster"] as const;
export const INBOXES = ["engine", "postgres"] as const;

const port = (value: number, description: string) => Type.Integer({ minimum: 0, maximum: 65535, default: value, description });
const host = (value: string) => Type.String({ default: value, minLength: 1, description: "Address to listen on." });

/** The fields of a settings section without their defaults: an override is only what was said. */
function overridesOf<T extends TObject>(section: T) {
  const fields: Record<string, TSchema> = {};
  for (const [name, schema] of Object.entries<TSchema>(section.properties)) {
    const { default: _default, ...rest } = schema;
    fields[name] = Type.Unsafe({ ...rest });
  }
  return Type.Unsafe<Partial<Static<T>>>(Type.Partial(Type.Object(fields), { default: {} }));
}

/** A group of settings; absent means all its defaults. */
const section = <T extends TProperties>(fields: T) => Type.Object(fields, { default: {} });

export const ServerConfig = Type.Object({
  cluster: Type.String({
    default: "default/nexus",
    pattern: "^[^/]+/[^/]+$",
    description: "Namespace and name of the NexusCluster this process belongs to, joined by a slash.",
  }),
  node: Type.String({ default: "", description: "Name of this node in answers and logs. Empty: the host name." }),
  processes: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 1,
    description:
      "Server processes behind the public port, for machines with more than one core to give. More than one needs the redis engine. What limits say per pod is split over them.",
  }),
  http: section({
    host: host("0.0.0.0"),
    port: port(8081, "Public port (REST, WebSocket, SSE). 0: any free one."),
    publicDiagnostics: Type.Boolean({ default: false, description: "Serve /metrics on the public port too." }),
    trustedProxies: Type.Array(Type.String({ format: "address-range" }), {
      default: [],
      maxItems: 256,
      description:
        "Address ranges of proxies whose X-Forwarded-For is believed, separated by commas (10.0.0.0/8,2001:db8::/32). Limits per address count what stands there. Empty: the peer is the client.",
    }),
  }),
  tls: section({
    certFile: Type.String({ default: "", description: "PEM certificate chain of the public port. Empty: the public port is plain." }),
    keyFile: Type.String({ default: "", description: "PEM private key of certFile." }),
    rereadSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 10,
      description: "How often the two files are read again, in seconds. Open connections outlive a renewed certificate.",
    }),
  }),
  ops: section({ host: host("0.0.0.0"), port: port(9090, "Plain port with /live, /ready and /metrics. 0: any free one.") }),
  admin: section({
    host: host("0.0.0.0"),
    port: port(9091, "TLS port the operator talks to. 0: any free one."),
    certFile: Type.String({ default: "", description: "PEM certificate chain. Empty: the admin port stays closed." }),
    keyFile: Type.String({ default: "", description: "PEM private key of certFile." }),
    tokenFile: Type.String({ default: "", description: "Accepted bearer tokens, one a line (two while a token is rotated)." }),
    rereadSeconds: Type.Integer({ minimum: 1, default: 10, description: "How often the three files are read again, in seconds." }),
  }),
  boot: section({
    directory: Type.String({ default: "", description: "Folder with the bucket files 00 to 63. Empty: start without configuration." }),
    confirmSeconds: Type.Integer({
      minimum: 0,
      default: 10,
      description: "How long readiness waits for a leader to confirm the boot copy, in seconds.",
    }),
  }),
  engine: Type.Union(
    ENGINES.map((engine) => Type.Literal(engine)),
    {
      default: "memory",
      description:
        "What keeps notifications: memory for as long as the process runs, sqlite in a file, redis for a fleet of any number of servers.",
    },
  ),
  inbox: Type.Union(
    INBOXES.map((inbox) => Type.Literal(inbox)),
    { default: "engine", description: "Where inboxes are kept: with everything else, or in PostgreSQL (needs the redis engine)." },
  ),
  memory: section({
    maxBytes: Type.Integer({ minimum: 1048576, default: 268435456, description: "What the memory engine keeps at the most, in bytes." }),
  }),
  sqlite: section({
    file: Type.String({
      default: "/var/lib/nexus/nexus.db",
      minLength: 1,
      description: "Database of the sqlite engine, made when it is not there. One process at a time; -wal and -seal lie beside it.",
    }),
    synchronous: Type.Union([Type.Literal("FULL"), Type.Literal("NORMAL")], {
      default: "FULL",
      description: "FULL: a publish is answered once a power cut cannot take it back. NORMAL: once a crash of the process cannot.",
    }),
    maxBytes: Type.Integer({
      minimum: 1048576,
      default: 1073741824,
      description:
        "What the sqlite engine keeps at the most, in bytes; above it the oldest entries go. The log beside the file comes on top.",
    }),
  }),
  redis: section({
    topology: Type.Union(
      REDIS_TOPOLOGIES.map((topology) => Type.Literal(topology)),
      { default: "standalone", description: "How Redis is run: one server, one watched by Sentinels, or a Redis Cluster." },
    ),
    addresses: Type.Array(Type.String({ format: "host-port" }), {
      default: ["127.0.0.1:6379"],
      minItems: 1,
      maxItems: 32,
      description: "host:port of the server, of the Sentinels, or of some nodes of the Cluster, separated by commas.",
    }),
    masterName: Type.String({ default: "mymaster", minLength: 1, description: "What the Sentinels call the primary." }),
    database: Type.Integer({ minimum: 0, maximum: 1048576, default: 0, description: "Number of the database; a Cluster has only 0." }),
    usernameFile: Type.String({ default: "", description: "File with the user name for AUTH. Empty: the default user." }),
    passwordFile: Type.String({ default: "", description: "File with the password for AUTH, read again for each new connection." }),
    sentinelPasswordFile: Type.String({ default: "", description: "File with the password of the Sentinels, when they have one." }),
    tls: Type.Boolean({ default: false, description: "Talk TLS to Redis and to Sentinels." }),
    caFile: Type.String({ default: "", description: "PEM certificates to trust. Empty: the system's." }),
    certFile: Type.String({ default: "", description: "PEM client certificate, where Redis asks for one." }),
    keyFile: Type.String({ default: "", description: "PEM private key of certFile." }),
    serverName: Type.String({ default: "", description: "Name the certificate has to carry. Empty: the host dialled." }),
    connectionFile: Type.String({
      default: "",
      description:
        "JSON file with topology, addresses, masterName, database, username, password, sentinelPassword and tls (ca, cert, key), in place of the settings above. It is read again while the server runs, and what it says then holds without a restart. The operator mounts it.",
    }),
    rereadSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 10,
      description: "How often connectionFile is read again, in seconds.",
    }),
    prefix: Type.String({
      default: "nexus",
      pattern: "^[A-Za-z0-9._-]{1,64}$",
      description: "What every key begins with. Installations that share one Redis need different ones.",
    }),
    replicas: Type.Integer({
      minimum: 0,
      maximum: 5,
      default: 1,
      description:
        "How many replicas must have a publish before it is answered, so that a failover takes nothing back; all there are when there are fewer. A standalone server has none to ask. 0: do not wait.",
    }),
    commandTimeoutMilliseconds: Type.Integer({
      minimum: 50,
      maximum: 60000,
      default: 2000,
      description: "How long a command may take before it counts as failed, in milliseconds.",
    }),
    probeMilliseconds: Type.Integer({
      minimum: 100,
      maximum: 60000,
      default: 2000,
      description: "How often a probe travels through each subscription, in milliseconds. One that stays away twice as long replaces it.",
    }),
  }),
  postgres: section({
    urlFile: Type.String({ default: "", description: "File with the postgres:// address of the database, credentials included." }),
    poolSize: Type.Integer({ minimum: 1, maximum: 1000, default: 10, description: "Connections to PostgreSQL at the most." }),
  }),
  triggers: section({
    pubsub: Type.Boolean({ default: true, description: "Take what is published to notification:* in Redis (needs the redis engine)." }),
    stream: Type.Boolean({ default: true, description: "Take entries of the Redis Stream below (needs the redis engine)." }),
    streamKey: Type.String({
      default: "nexus:triggers",
      minLength: 1,
      description: "The stream; its dead letters go to this name with :dead.",
    }),
    maxAttempts: Type.Integer({ minimum: 1, maximum: 1000, default: 5, description: "Tries before an entry becomes a dead letter." }),
    retryMilliseconds: Type.Integer({
      minimum: 100,
      maximum: 3600000,
      default: 30000,
      description: "How long an entry may be with a node before another takes it over, in milliseconds.",
    }),
  }),
  drain: section({
    propagationSeconds: Type.Integer({
      minimum: 0,
      maximum: 60,
      default: 5,
      description: "How long a draining server goes on serving while endpoints propagate, in seconds.",
    }),
  }),
  log: section({
    level: Type.Union(
      LOG_LEVELS.map((level) => Type.Literal(level)),
      { default: "info", description: "Lowest level that is written." },
    ),
  }),
  metrics: section({
    tenants: Type.Integer({
      minimum: 0,
      maximum: 10000,
      default: 100,
      description:
        "Tenants that have series of their own in /metrics, the same on every node of a fleet; what the rest do is shown as other. 0: nothing is shown by tenant.",
    }),
  }),
  tracing: section({
    endpoint: Type.String({
      default: "",
      format: "collector-url",
      maxLength: 2048,
      description:
        "Collector that spans are sent to over OTLP http/protobuf, for example http://otel:4318; /v1/traces is added where it is not there. Empty: what the bundle says.",
    }),
    samplePercent: Type.Integer({
      minimum: 0,
      maximum: 100,
      default: 0,
      description: "Share of publishes that are traced where the caller began no trace; read together with endpoint.",
    }),
    incomingPerSecond: Type.Integer({
      minimum: 0,
      maximum: 100000,
      default: 100,
      description:
        "Traces a second and process that are recorded because the caller records them (the sampled flag of traceparent). What comes above it is not traced.",
    }),
    headers: Type.String({
      default: "",
      secret: true,
      description:
        "Headers for the collector, name=value with percent-encoded values, separated by commas or lines. In a NexusCluster: pods.env with a secretKeyRef.",
    }),
    headersFile: Type.String({
      default: "",
      description: "File with such headers, read again for every batch; it wins over headers of the same name.",
    }),
  }),
  limits: overridesOf(Limits),
  delivery: overridesOf(Delivery),
});
export type ServerConfig = Static<typeof ServerConfig>;

/** One settable field: where it is, its schema, and the names derived from the path. */
export type ConfigField = {
  readonly path: readonly string[];
  readonly schema: TSchema;
  readonly env: string;
  /** Undefined for a secret: everybody on the machine reads the arguments of a process. */
  readonly flag: string | undefined;
};

/** `["limits", "sendQueueBytes"]` → `NEXUS_LIMITS_SEND_QUEUE_BYTES`. */
export const envName = (path: readonly string[]): string =>
  `NEXUS_${path
    .join("_")
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;

/** `["limits", "sendQueueBytes"]` → `--limits-send-queue-bytes`. */
export const flagName = (path: readonly string[]): string =>
  `--${path
    .join("-")
    .replace(/[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()}`;

/** Every leaf of an object schema, in order of declaration. */
export function configFields(schema: TSchema = ServerConfig, path: readonly string[] = []): readonly ConfigField[] {
  const properties: Record<string, TSchema> | undefined = schema.properties;
  if (!properties) return [{ path, schema, env: envName(path), flag: schema.secret === true ? undefined : flagName(path) }];
  return Object.entries(properties).flatMap(([name, inner]) => configFields(inner, [...path, name]));
}
