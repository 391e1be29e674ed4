// Why: the token of the admin port is replaced every 90 days without a pod that refuses the operator: the new one is added, then
// used, then the old one goes, each step once every pod has had hours to read the file. The first line is the one to use; pods
// accept every line. Where a rotation stands is in the Secret alone.
import type { CredentialDeps } from "./admin-authority.ts";
import { type Ensured, ensureSecret, newToken, replaceData, type SecretHead } from "./generated-secrets.ts";
import type { SecretObject } from "./secret-source.ts";

/** `added`: the second line is new. `used`: the second line is old. Absent or anything else: no rotation is under way. */
export const STEP_ANNOTATION = "nexus.dev/token-step";
/** When the last step was taken, RFC 3339. */
export const STEP_AT_ANNOTATION = "nexus.dev/token-step-at";

const HOUR_MS = 3600 * 1000;
const LIFE_MS = 90 * 24 * HOUR_MS;
/** A kubelet brings a changed Secret to its pods within two minutes, a server reads it within ten seconds. */
const STEP_MS = 6 * HOUR_MS;

const lines = (secret: SecretObject): string[] =>
  Buffer.from(secret.data?.token ?? "", "base64")
    .toString()
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The token to send. */
export const tokenOf = (secret: SecretObject): string => lines(secret)[0] ?? "";

/** Made when missing; one step further when it is time. Rejects with `KubeError`. */
export async function ensureToken(head: SecretHead, deps: CredentialDeps): Promise<Ensured> {
  const ensured = await ensureSecret(head, () => ({ token: newToken() }), deps);
  if (!ensured.ok) return ensured;
  const { secret } = ensured;
  const next = nextStep(secret, deps.wallMs);
  if (!next) return ensured;
  const annotations = { [STEP_ANNOTATION]: next.step, [STEP_AT_ANNOTATION]: new Date(deps.wallMs).toISOString() };
  return { ok: true, secret: await replaceData(secret, { token: `${next.tokens.join("\n")}\n` }, deps, annotations) };
}

type Step = { readonly step: "added" | "used" | "done"; readonly tokens: readonly string[] };

function nextStep(secret: SecretObject, nowMs: number): Step | undefined {
  const { annotations = {}, creationTimestamp } = secret.metadata;
  const [first, second] = lines(secret);
  if (first === undefined) return { step: "done", tokens: [newToken()] }; // somebody emptied it
  const at = annotations[STEP_AT_ANNOTATION] ?? creationTimestamp;
  const ageMs = at === undefined ? 0 : nowMs - Date.parse(at);
  const step = second === undefined ? "done" : annotations[STEP_ANNOTATION];
  if (second !== undefined && step === "added") return ageMs >= STEP_MS ? { step: "used", tokens: [second, first] } : undefined;
  if (second !== undefined && step === "used") return ageMs >= STEP_MS ? { step: "done", tokens: [first] } : undefined;
  return ageMs >= LIFE_MS ? { step: "added", tokens: [first, newToken()] } : undefined;
}
