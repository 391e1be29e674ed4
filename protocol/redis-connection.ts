// Why: how a server finds its broker, as one document: the operator writes it into a Secret, the server reads it from the
// mounted file and goes on reading it, so that an address or a password changes without a restart. All of it changes at once:
// an address of now with a password of before would be refused. It holds secrets: never log it.
import { type Static, Type } from "@sinclair/typebox";
import { ServerConfig } from "./config.ts";

const { topology, addresses, masterName, database } = ServerConfig.properties.redis.properties;
const text = Type.String({ minLength: 1 });

export const RedisConnection = Type.Object(
  {
    topology,
    addresses,
    masterName: Type.Optional(masterName),
    database,
    username: Type.Optional(text),
    password: Type.Optional(text),
    /** Of the Sentinels, when they have one. */
    sentinelPassword: Type.Optional(text),
    /** Present: talk TLS. PEM texts; without `ca` the system's authorities are trusted. */
    tls: Type.Optional(Type.Object({ ca: Type.Optional(text), cert: Type.Optional(text), key: Type.Optional(text) })),
  },
  { additionalProperties: true }, // a newer operator may say more
);
export type RedisConnection = Static<typeof RedisConnection>;

/** Key of the Secret, and name of the file in the folder it is mounted as. */
export const REDIS_CONNECTION_KEY = "connection.json";
