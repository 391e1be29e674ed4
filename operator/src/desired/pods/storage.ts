// Why: how a server pod finds the database that keeps inboxes: a mounted address, read again when connections are made anew.
// Only whether there is one rolls pods, because a server cannot move inboxes while it runs. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import { type PodParts, readOnlyMount } from "./parts.ts";

const FOLDER = "/var/run/nexus/postgres";
const KEY = "url";

/** Inboxes alone cannot be there: everything else needs a broker. */
export const keepsInPostgres = ({ spec }: NexusCluster): boolean => spec.storage.inbox === "Postgres" && spec.redis.mode !== "None";

export function storageParts(cluster: NexusCluster): PodParts {
  if (!keepsInPostgres(cluster)) return {};
  const secretName = childNames(cluster.metadata.name).postgresConnection;
  return {
    env: [
      { name: "NEXUS_INBOX", value: "postgres" },
      { name: "NEXUS_POSTGRES_URL_FILE", value: `${FOLDER}/${KEY}` },
    ],
    mounts: [readOnlyMount("postgres", FOLDER)],
    volumes: [{ name: "postgres", secret: { secretName, items: [{ key: KEY, path: KEY }] } }],
  };
}

/** The Secret that server pods mount, in base64 as it travels; without an address it is emptied. */
export const postgresSecret = (cluster: NexusCluster, context: { readonly operatorId: string }, url: string | undefined) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).postgresConnection, context),
  type: "Opaque",
  data: url === undefined ? {} : { [KEY]: url },
});
