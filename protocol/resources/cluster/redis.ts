// Why: how a fleet reaches its broker, and where inboxes are kept. Shape only: wiring is the operator's.
import { Type } from "@sinclair/typebox";
import { choice, group, int, LIVE, name, opaque, ordered, quantity, ROLLS, secretKeyRef, secretRef, text } from "../fields.ts";

const managed = group("The broker the operator runs for this cluster, with mode: Managed.", ROLLS, {
  image: Type.Optional(text("Image of Redis or Valkey.", ROLLS, { maxLength: 512 })),
  memory: quantity("What the broker may hold.", ROLLS, "256Mi"),
  storage: group(
    "Its volume.",
    ROLLS,
    {
      size: quantity("Size; it can only grow.", ROLLS, "1Gi"),
      storageClassName: Type.Optional(name("Class of the volume; absent: the default one.", ROLLS)),
    },
    { default: {} },
  ),
  resources: Type.Optional(opaque("CPU and memory, as in a Pod.", ROLLS)),
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
      { rule: "size(self.addresses) > 0", message: "addresses must name at least one host:port", fieldPath: ".addresses" },
      {
        rule: "(self.topology == 'Sentinel') == has(self.masterName)",
        message: "masterName belongs to topology: Sentinel, and is required there",
      },
      {
        rule: "self.topology != 'Cluster' || self.database == 0",
        message: "database must be 0 with topology: Cluster",
        fieldPath: ".database",
      },
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
      { rule: "self.mode == 'Managed' || !has(self.managed)", message: "managed belongs to mode: Managed" },
      { rule: "(self.mode == 'External') == has(self.external)", message: "external belongs to mode: External, and is required there" },
    ],
  },
);

export const Storage = group(
  "Where inboxes are kept.",
  LIVE,
  {
    inbox: choice(["Auto", "Redis", "Postgres"], "Auto: Redis when there is one, else memory.", LIVE, "Auto"),
    postgres: Type.Optional(
      group("With inbox: Postgres.", LIVE, { urlSecretRef: secretKeyRef("Secret with the connection URL.", LIVE, "url") }),
    ),
  },
  {
    default: { inbox: "Auto" },
    "x-kubernetes-validations": [
      { rule: "(self.inbox == 'Postgres') == has(self.postgres)", message: "postgres belongs to inbox: Postgres, and is required there" },
    ],
  },
);
