// Why: some numbers are a tenant's or everybody's, by the key that asks. It must never give a tenant key another tenant's.
import type { Call } from "./call.ts";

/** The tenant whose numbers the caller gets; undefined (everybody's) only for a platform key that names no tenant. */
export const numbersOf = ({ caller, request }: Pick<Call, "caller" | "request">): string | undefined =>
  caller.holder.tenant === undefined && !request.headers.has("x-tenant-id") ? undefined : caller.tenant;
