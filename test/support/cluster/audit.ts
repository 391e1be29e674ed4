// Why: the API server's own audit log is the judge of "this wrote nothing". Only the parts tests assert on are typed. It
// must never drop an event: a missing line would make such a test pass wrongly.
import { readFileSync } from "node:fs";

/** One finished stage of one request, as the API server logs it (`audit.k8s.io/v1`, level Metadata). */
export type AuditEvent = {
  readonly auditID: string;
  /** `ResponseStarted` is logged for long-running requests (watches) only. */
  readonly stage: "ResponseStarted" | "ResponseComplete" | "Panic";
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly apiVersion?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number; readonly reason?: string };
  /** `authorization.k8s.io/decision` and `/reason`: what RBAC said, and which binding said it. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
};

/** Logs every request once it is answered, health checks excepted. */
export const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "None", nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"] }, { level: "Metadata" }],
} as const;

const WRITING_VERBS: ReadonlySet<string> = new Set(["create", "update", "patch", "delete", "deletecollection"]);

/** Whether a request asked to change something (refused and dry-run ones included). */
export const isWrite = (event: AuditEvent): boolean => event.stage === "ResponseComplete" && WRITING_VERBS.has(event.verb);

/** Parses an audit log; a last line still being written is left for the next read. */
export function readAuditLog(path: string): AuditEvent[] {
  const text = readFileSync(path, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  // The API server's own format; a test that asserts on a field sees at once when it is not there.
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent);
}
