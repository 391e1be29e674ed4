// Why: user names, passwords and certificates lie in files that are replaced while the server runs. Every new connection
// gets what the files say then. It must never throw after the start: a file that is away for a moment is not an outage.
import { readFileSync } from "node:fs";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Redis } from "ioredis";
import type { Log } from "../../core/ports.ts";

export type CredentialSettings = Partial<
  Pick<
    ServerConfig["redis"],
    "usernameFile" | "passwordFile" | "sentinelPasswordFile" | "tls" | "caFile" | "certFile" | "keyFile" | "serverName"
  >
>;

/** What `node:tls` takes. */
export type TlsSettings = { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };

export type Credentials = {
  readonly username: () => string | undefined;
  readonly password: () => string | undefined;
  readonly sentinelPassword: () => string | undefined;
  /** Undefined: plain TCP. */
  readonly tls: () => TlsSettings | undefined;
};

/** Reads every file once. @throws Error naming the setting whose file cannot be read */
export function createCredentials(settings: CredentialSettings, log: Pick<Log, "warn">): Credentials {
  const file = (name: keyof CredentialSettings, path: string | boolean | undefined) => follow(variable(name), String(path ?? ""), log);
  const username = file("usernameFile", settings.usernameFile);
  const password = file("passwordFile", settings.passwordFile);
  const sentinelPassword = file("sentinelPasswordFile", settings.sentinelPasswordFile);
  const ca = file("caFile", settings.caFile);
  const cert = file("certFile", settings.certFile);
  const key = file("keyFile", settings.keyFile);
  const servername = settings.serverName || undefined;
  const tls = (): TlsSettings => defined({ ca: ca(), cert: cert(), key: key(), servername });
  return { username, password, sentinelPassword, tls: settings.tls ? tls : () => undefined };
}

/** Has every connection that this client opens from now on ask for what is true then. */
export function useFresh(client: Redis, credentials: Credentials): void {
  const { tls, ...texts } = credentials;
  for (const [name, get] of Object.entries(texts)) Object.defineProperty(client.options, name, { get, ...ASKED });
  if (tls()) Object.defineProperty(client.options, "tls", { get: tls, ...ASKED });
}

const ASKED = { enumerable: true, configurable: true } as const;

const variable = (name: string): string => `NEXUS_REDIS_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/** The file's text without its last line end; an empty file or no file says nothing. Keeps the last good text. */
function follow(name: string, path: string, log: Pick<Log, "warn">): () => string | undefined {
  if (path === "") return () => undefined;
  const read = () => readFileSync(path, "utf8").replace(/\r?\n$/, "");
  let last: string;
  try {
    last = read();
  } catch (cause) {
    throw new Error(`${name}: cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return () => {
    try {
      last = read();
    } catch (error) {
      log.warn("redis.credential_unreadable", { setting: name, error });
    }
    return last === "" ? undefined : last;
  };
}

function defined(fields: { readonly [K in keyof TlsSettings]-?: TlsSettings[K] | undefined }): TlsSettings {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
