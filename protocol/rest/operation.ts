// Why: what a REST operation is, for the lists beside this file. It must never name one.
import type { TObject, TSchema } from "@sinclair/typebox";

/** `public`: no key. `session`: a JWT. `platform`: platform keys only. Others: a key with that scope. */
export type OperationAuth = "public" | "publish" | "read" | "admin" | "session" | "platform";

export type Operation = {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Parameters in braces: `/api/v1/channels/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly auth: OperationAuth;
  /** Which body limit applies. */
  readonly limit?: "body" | "batch";
  /** Success status; 200 when absent. 204 has no `result`. */
  readonly status?: 200 | 201 | 204;
  /** Query parameters, one property each; what is not in `required` may be left out. */
  readonly query?: TObject;
  readonly body?: TSchema;
  readonly result?: TSchema;
};
