// Why: alarms go off for what is ours to mend, and scaling goes by what we could not take: both need one answer to whose
// fault a failure was. It must never blame us for a credential, a quota or a malformed request.
import { Failure, type FailureCode } from "@nexus/protocol/failures.ts";

/** Failed here although whoever asked did nothing wrong. Draining is none: the next node takes it. */
const OURS: ReadonlySet<FailureCode> = new Set(["internal", "broker_unavailable", "node_full", "issuer_unavailable"]);

export const isOurFault = (code: FailureCode): boolean => OURS.has(code);

/** The code of whatever was thrown. */
export const codeOf = (thrown: unknown): FailureCode => (thrown instanceof Failure ? thrown.refusal.code : "internal");
