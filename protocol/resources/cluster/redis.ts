// Why: how a fleet reaches its broker, and where inboxes are kept. Shape only: wiring is the operator's.
import { Type } from "@sinclair/typebox";
import { choice, group, int, LIVE, name, ordered, quantity, ROLLS, secretKeyRef, secretRef, text } from "../fields.ts";
import { celRule } from "../rules.ts";

type ExternalShape = { addresses: readonly string[]; topology: string; masterName?: string; database: number };
type RedisShape = { mode: string; managed?: unknown; external?: unknown };

const managed = group("The broker the operator runs for this cluster, with mode: Managed. Servers are never rolled by it.", ROLLS, {
  image: Type.Optional(text("Image of Redis or Valkey.", ROLLS, { maxLength: 512 })),
  memory: quantity("Memory limit of the broker's pod; three quarters of it for what it holds.", ROLLS, "256Mi"),
  storage: group(
    "Its volume.",
    LIVE,
    {
      size: quantity("Size; it can only grow.", LIVE, "1Gi"),
      storageClassName: Type.Optional(name("Class of the volume, chosen once; absent: the default one.", LIVE)),
    },
    { default: {} },
  ),
});

const external = group(
  "A broker that is already there, with mode: External.",
  LIVE,
  {
    topology: choice(["Standalone", "Sentinel", "Cluster"], "How its nodes work together.", LIVE, "Standalone"),
    addresses: ordered(
      Type.String({ minLength: 3, maxLength: 259, pattern: "^[^\\s,/@]+:[0-9]{1,5}$", description: `host:port. ${LIVE}` }),
      32,
      "Nodes, or Sentinels, to ask first, as host:port.",
      LIVE,
    ),
    masterName: Type.Optional(text("Name the Sentinels know the primary by.", LIVE, { minLength: 1, maxLength: 253 })),
    database: int("Number of the database; Cluster has only 0.", LIVE, { default: 0, maximum: 1024 }),
    usernameSecretRef: Type.Optional(secretKeyRef("Secret with the user name.", LIVE, "username")),
    passwordSecretRef: Type.Optional(secretKeyRef("Secret with the password.", LIVE, "password")),
    tls: Type.Optional(
      group("Encrypt connections to the broker.", LIVE, {
        caSecretRef: Type.Optional(secretKeyRef("Secret with the CA's certificate; absent: the system's.", LIVE, "ca.crt")),
        clientSecretRef: Type.Optional(secretRef("Secret of type kubernetes.io/tls with a client certificate.", LIVE)),
      }),
    ),
  },
  {
    "x-kubernetes-validations": [
      celRule<ExternalShape>(
        "size(self.addresses) > 0",
        "addresses must name at least one host:port",
        ({ addresses }) => addresses.length > 0,
        ".addresses",
      ),
      celRule<ExternalShape>(
        "(self.topology == 'Sentinel') == has(self.masterName)",
        "masterName belongs to topology: Sentinel, and is required there",
        ({ topology, masterName }) => (topology === "Sentinel") === (masterName !== undefined),
      ),
      celRule<ExternalShape>(
        "self.topology != 'Cluster' || self.database == 0",
        "database must be 0 with topology: Cluster",
        ({ topology, database }) => topology !== "Cluster" || database === 0,
        ".database",
      ),
    ],
  },
);

export const Redis = group(
  "The broker that makes several pods act as one.",
  ROLLS,
  {
    mode: choice(
      ["None", "Managed", "External"],
      "None: one pod, kept in memory. Managed: the operator runs a broker. External: one that is there.",
      ROLLS,
    ),
    managed: Type.Optional(managed),
    external: Type.Optional(external),
  },
  {
    "x-kubernetes-validations": [
      celRule<RedisShape>(
        "self.mode == 'Managed' || !has(self.managed)",
        "managed belongs to mode: Managed",
        ({ mode, managed }) => mode === "Managed" || managed === undefined,
      ),
      celRule<RedisShape>(
        "(self.mode == 'External') == has(self.external)",
        "external belongs to mode: External, and is required there",
        ({ mode, external }) => (mode === "External") === (external !== undefined),
      ),
    ],
  },
);

export const Storage = group(
  "Where inboxes are kept.",
  ROLLS,
  {
    inbox: choice(["Auto", "Redis", "Postgres"], "Auto: Redis when there is one, else memory.", ROLLS, "Auto"),
    postgres: Type.Optional(
      group("With inbox: Postgres.", LIVE, { urlSecretRef: secretKeyRef("Secret with the connection URL.", LIVE, "url") }),
    ),
  },
  {
    default: { inbox: "Auto" },
    "x-kubernetes-validations": [
      celRule<{ inbox: string; postgres?: unknown }>(
        "(self.inbox == 'Postgres') == has(self.postgres)",
        "postgres belongs to inbox: Postgres, and is required there",
        ({ inbox, postgres }) => (inbox === "Postgres") === (postgres !== undefined),
      ),
    ],
  },
);
