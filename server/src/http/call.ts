// Why: what one request is to the code behind the routes, and what may come back. Handlers see no transport beyond this.

import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Operation } from "@nexus/protocol/rest/operation.ts";
import type { Identity, KeyHolder, RateDecision } from "../core/ports.ts";

/** Who asks, for which tenant. `rate`: what is left of the key's requests; absent while limits are off. */
export type Caller = { readonly tenant: string; readonly holder: KeyHolder; readonly rate: RateDecision | undefined };

/** `params`: what the path's braces stand for, decoded. `query`: of the address; it may hold a token, so it is never logged. */
export type Call = {
  readonly operation: Operation;
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly caller: Caller;
};

export const queryOf = ({ request }: Pick<Call, "request">): URLSearchParams => new URL(request.url).searchParams;

/** A 200 unless `status` says otherwise; `body` is JSON text. */
export type Answer = {
  readonly kind: "answer";
  readonly body: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What a listening person asks; whose token it was has been verified. */
export type SessionCall = Pick<Call, "operation" | "request" | "params"> & { readonly identity: Identity };

export type SessionHandler = (call: SessionCall) => Promise<Answer | Refusal>;

export type Handler = (call: Call) => Promise<Answer | Refusal>;

export const isRefusal = (value: object): value is Refusal => "code" in value;
