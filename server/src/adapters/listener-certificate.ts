// Why: the public port's certificate lies in mounted files that are renewed under a running process. They are read again every
// few seconds; what cannot be used is said, counted, and the pair in use kept.
import { readFile } from "node:fs/promises";
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { checkPair, type KeyPair } from "../core/key-pair.ts";
import type { Log } from "../core/ports.ts";

export type ListenerCertificate = {
  /** The pair to listen with. */
  pair(): KeyPair;
  /** From now on told of each new pair. */
  onChange(take: (pair: KeyPair) => void): void;
  /** Reads the files now. Never rejects. */
  reread(): Promise<void>;
  stop(): void;
};

type Deps = {
  readonly log: Log;
  readonly metrics: {
    /** Unix seconds. */
    listenerCertificate(expiry: number): void;
    listenerReread(outcome: "taken" | "failed"): void;
  };
};

/** Undefined when the settings name no files. @throws Error when the files cannot be used at the start */
export async function openListenerCertificate(config: ServerConfig["tls"], deps: Deps): Promise<ListenerCertificate | undefined> {
  if (config.certFile === "") return undefined;
  const { log, metrics } = deps;
  let current = await readPair(config);
  let failure = "";
  let take: (pair: KeyPair) => void = () => undefined;
  metrics.listenerCertificate(checkPair(current));

  async function reread(): Promise<void> {
    try {
      const next = await readPair(config);
      if (next.cert !== current.cert || next.key !== current.key) {
        const expiry = checkPair(next);
        take(next);
        current = next;
        metrics.listenerCertificate(expiry);
        metrics.listenerReread("taken");
        log.info("listener.certificate_reread", { expires: new Date(expiry * 1000).toISOString() });
      }
      failure = "";
    } catch (error) {
      metrics.listenerReread("failed");
      const text = String(error);
      if (text !== failure) log.error("listener.reread_failed", { error }); // once for each reason, not every few seconds
      failure = text;
    }
  }

  let rereading: Promise<void> = Promise.resolve();
  const next = () => {
    rereading = rereading.then(reread);
    return rereading;
  };
  const timer = setInterval(() => void next(), config.rereadSeconds * 1000);
  timer.unref();
  return {
    pair: () => current,
    onChange(wanted) {
      take = wanted;
    },
    reread: next,
    stop: () => clearInterval(timer),
  };
}

async function readPair({ certFile, keyFile }: ServerConfig["tls"]): Promise<KeyPair> {
  const [cert = "", key = ""] = await Promise.all([certFile, keyFile].map((path) => readFile(path, "utf8")));
  return { cert, key };
}
