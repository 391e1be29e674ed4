// Why: which rights the operator really uses is known only after every cluster of a test run is gone. Each cluster therefore
// leaves a summary of its audit log in the run's folder (NEXUS_RIGHTS_RUN, set by scripts/test.ts), which
// scripts/tiers/rights.ts judges. It must never leave out a denial that no test asked for.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { RightsOfCluster, RightUse } from "../../../scripts/tiers/rights.ts";
import { type AuditEvent, readAuditLog } from "./audit.ts";

/** Every operator of ours runs under a ServiceAccount of this name, whatever its namespace. */
const OPERATOR = /^system:serviceaccount:[^:]+:nexus-operator$/;
/** A test that speaks under the operator's account shows nothing about the operator. */
const AGENT = "nexus-operator/";

/** A denial that a test provokes: each member narrows it. `since`: only from then on, an ISO 8601 time. */
export type DeliberateDenial = Partial<RightUse> & { readonly since?: string };

const deliberateFile = (directory: string) => join(directory, "deliberate-denials.jsonl");

/** Tells the check of rights that a test takes this right away on purpose. Call it before the operator asks. */
export const denyOnPurpose = (cluster: { readonly directory: string }, denial: DeliberateDenial): void =>
  appendFileSync(deliberateFile(cluster.directory), `${JSON.stringify(denial)}\n`);

/** Announces a cluster, so that one that dies without its summary is missed. Nothing outside of a whole run. */
export function announceRights(directory: string): void {
  const folder = process.env.NEXUS_RIGHTS_RUN;
  if (folder) writeFileSync(join(folder, `${basename(directory)}.started`), "");
}

/** Writes the summary of a cluster that is about to be removed. Nothing outside of a whole run. */
export function recordRights(directory: string, auditLog: string | undefined): void {
  const folder = process.env.NEXUS_RIGHTS_RUN;
  if (!folder) return;
  const path = deliberateFile(directory);
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  const deliberate = lines.map((line) => JSON.parse(line) as DeliberateDenial); // our own lines
  const events = auditLog && existsSync(auditLog) ? readAuditLog(auditLog) : [];
  writeFileSync(join(folder, `${basename(directory)}.json`), JSON.stringify(rightsOf(events, deliberate)));
}

/** What the operator used and was denied, each once; deliberate denials left out. */
export function rightsOf(events: readonly AuditEvent[], deliberate: readonly DeliberateDenial[] = []): RightsOfCluster {
  const used = new Map<string, RightUse>();
  const denied = new Map<string, RightUse>();
  for (const event of events) {
    const { objectRef: ref, annotations = {}, verb } = event;
    if (!ref?.resource || !OPERATOR.test(event.user.username) || !event.userAgent?.startsWith(AGENT)) continue;
    const resource = ref.subresource ? `${ref.resource}/${ref.subresource}` : ref.resource;
    const use: RightUse = { verb, group: ref.apiGroup ?? "", resource };
    const decision = annotations["authorization.k8s.io/decision"];
    if (decision === "forbid") {
      const place = { ...(ref.namespace ? { namespace: ref.namespace } : {}), ...(ref.name ? { name: ref.name } : {}) };
      if (!deliberate.some((one) => fits(one, { ...use, ...place }, event.requestReceivedTimestamp)))
        denied.set(JSON.stringify(use), { ...use, ...place });
    } else if (decision === "allow" && annotations["authorization.k8s.io/reason"]?.includes("nexus-operator")) {
      used.set(JSON.stringify(use), use);
      // Server-side apply of an object that is not there asks for `create` too (the API server's own second question).
      if (verb === "patch" && event.responseStatus?.code === 201) used.set(`create ${JSON.stringify(use)}`, { ...use, verb: "create" });
    }
  }
  return { used: [...used.values()], denied: [...denied.values()] };
}

function fits({ since, ...one }: DeliberateDenial, use: RightUse, at: string): boolean {
  if (since !== undefined && Date.parse(at) < Date.parse(since)) return false;
  return Object.entries(one).every(([name, value]) => Reflect.get(use, name) === value);
}
