// Why: the certificate of the public port: a Secret of the user's, or one that cert-manager makes. It must never roll pods onto
// a Secret that is not there: those that serve go on as they are until it is.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { certificate } from "../../desired/exposure/certificate.ts";
import { childNames } from "../../desired/names.ts";
import { LISTENER_TLS_VOLUME, listenerTlsSecret } from "../../desired/pods/listener-tls.ts";
import type { KubeObject } from "../../plan/object.ts";
import type { Obstacle } from "../../status/exposure.ts";
import { OPTIONAL_KINDS } from "../kinds.ts";
import type { SecretObject } from "../secret-source.ts";
import type { DeploymentObject } from "../views.ts";
import { kindNotServed, serves } from "./optional.ts";
import type { FleetWork } from "./work.ts";

/** What keeps the certificate from being there or from working; undefined when nothing does, or none is asked for. */
export type ListenerTlsFound = (Obstacle & { readonly canServe: boolean }) | undefined;

const SECRET_MS = 10_000;

type SeenCertificate = KubeObject & {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[] };
};

/** Rejects with `KubeError`. */
export async function reconcileListenerTls(work: FleetWork): Promise<ListenerTlsFound> {
  const { cluster, deps, namespace } = work;
  const { issuerRef } = cluster.spec.tls ?? {};
  const { listenerTls } = childNames(cluster.metadata.name);
  const isServed = issuerRef !== undefined && serves(work, OPTIONAL_KINDS.Certificate);
  if (issuerRef === undefined) await work.remove(OPTIONAL_KINDS.Certificate, listenerTls);
  else if (isServed) await work.child(OPTIONAL_KINDS.Certificate, certificate(cluster, deps.context, issuerRef));
  const name = listenerTlsSecret(cluster);
  if (name === undefined) return undefined;
  const secret = await deps.secrets.get(namespace, name);
  const found = judge(name, secret, deps.wallMs());
  if (found) {
    deps.secrets.invalidate(`${namespace}/${name}`); // what is wrong is not believed for long
    work.again(SECRET_MS);
  }
  if (issuerRef === undefined) return found;
  const canServe = found?.canServe ?? true;
  if (!isServed) return { ...kindNotServed(OPTIONAL_KINDS.Certificate, "spec.tls.issuerRef"), canServe };
  if (secret || !found) return found;
  const live: SeenCertificate | undefined = work.ours(OPTIONAL_KINDS.Certificate, listenerTls);
  const ready = live?.status?.conditions?.find(({ type }) => type === "Ready");
  const words = ready?.message === undefined ? "cert-manager said nothing yet" : ready.message;
  return { reason: "CertificatePending", message: `Certificate ${listenerTls}: ${words}`, isProgress: true, canServe };
}

function judge(name: string, secret: SecretObject | undefined, nowMs: number): ListenerTlsFound {
  const no = (reason: "SecretNotFound" | "SecretInvalid", message: string, canServe = false): ListenerTlsFound => ({
    ...{ reason, message, canServe },
    isProgress: false,
  });
  if (!secret) return no("SecretNotFound", `missing: Secret ${name} with the certificate of the public port`);
  const [cert, key] = ["tls.crt", "tls.key"].map((one) => Buffer.from(secret.data?.[one] ?? "", "base64").toString());
  if (!cert || !key) return no("SecretNotFound", `missing: ${cert ? "tls.key" : "tls.crt"} in Secret ${name}`);
  try {
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key)))
      return no("SecretInvalid", `Secret ${name}: tls.crt and tls.key do not belong together`);
    if (certificate.validToDate.getTime() > nowMs) return undefined;
    return no("SecretInvalid", `Secret ${name}: the certificate expired at ${certificate.validToDate.toISOString()}`, true);
  } catch {
    return no("SecretInvalid", `Secret ${name}: tls.crt or tls.key is no PEM that can be read`); // the reason may quote the key
  }
}

/** Whether pods must not be rolled now: they would wait for a Secret that no pod of the live template waits for yet. */
export function holdsPods(cluster: FleetWork["cluster"], found: ListenerTlsFound, live: DeploymentObject | undefined): boolean {
  if (!found || found.canServe) return false;
  const mounted = live?.spec.template?.spec?.volumes?.find(({ name }) => name === LISTENER_TLS_VOLUME)?.secret?.secretName;
  return mounted !== listenerTlsSecret(cluster);
}
