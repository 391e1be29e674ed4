// Why: tests of REST operations ask as a backend does, and have every answer judged by the served OpenAPI document too.
// It must never know an operation.
import { expect } from "bun:test";
import { FAILURES, type FailureCode } from "@nexus/protocol/failures.ts";
import { SignJWT } from "jose";
import { type Contract, contractOf, type Document } from "./openapi.ts";

export type RestAnswer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> };
/** `shape`: the operation's path with its braces, for the judge; absent: not judged. `body` is sent as JSON. */
export type RestCall = {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly shape?: string;
};
export type Rest = (method: string, path: string, call?: RestCall) => Promise<RestAnswer>;

/** `key`: sent where a call names none; an empty one sends no key. */
export function restOf(url: string, key: string): Rest {
  let judge: Promise<Contract> | undefined;
  return async (method, path, call = {}) => {
    const used = call.key ?? key;
    const headers = { ...(used === "" ? {} : { "x-api-key": used }), "content-type": "application/json", ...call.headers };
    const sent = call.body === undefined ? {} : { body: JSON.stringify(call.body) };
    const answer = await fetch(`${url}${path}`, { method, headers, ...sent });
    const { status } = answer;
    const text = await answer.text();
    if (call.shape !== undefined) {
      judge ??= documentOf(url).then(contractOf);
      const response = new Response(text === "" ? null : text, { status, headers: answer.headers });
      expect(await (await judge).problemsOf({ method, path: call.shape, response })).toEqual([]);
    }
    // Every body of this port is a JSON object.
    return { status, headers: answer.headers, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
  };
}

const documentOf = async (url: string): Promise<Document> => (await (await fetch(`${url}/openapi.json`)).json()) as Document; // judged in openapi.test.ts

/** Status, problem type and the older error object are those of the failure. */
export function expectProblem({ status, headers, body }: RestAnswer, code: FailureCode): void {
  const row = FAILURES[code];
  expect(body).toMatchObject({ type: `urn:nexus:problem:${code}`, code, status: row.status, title: row.title, error: { code: row.wire } });
  expect([status, headers.get("content-type")]).toEqual([row.status, "application/problem+json"]);
}

export const TOKEN_SECRET = "a secret of some length";

/** A JWT signed with {@link TOKEN_SECRET}, good for five minutes unless `exp` (seconds since 1970) says otherwise. */
export const token = (user: string, claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  new SignJWT({ tenant_id: "acme", exp: Math.floor(Date.now() / 1000) + 300, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .sign(new TextEncoder().encode(TOKEN_SECRET));
