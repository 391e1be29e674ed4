// Why: the contract as this server serves it, for people and generators that read OpenAPI. It is made once, when somebody
// first asks, and must never differ between two nodes of one version.
import { sha256 } from "@nexus/protocol/canonical.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import { openApiDocument } from "@nexus/protocol/rest/openapi.ts";
import type { Answer } from "./call.ts";

const MAX_AGE_SECONDS = 300;

/** Answers 304 to an `If-None-Match` that names the document (RFC 9110 section 13.1.2). */
export function openApiHandler(): (request: Request) => Answer {
  let made: { readonly body: string; readonly headers: Readonly<Record<string, string>> } | undefined;
  return (request) => {
    made ??= make();
    const { body, headers } = made;
    if (names(request.headers.get("if-none-match"), headers.etag)) return { kind: "answer", status: 304, body: "", headers };
    return { kind: "answer", body, headers };
  };
}

function make() {
  const body = JSON.stringify(openApiDocument(version));
  return { body, headers: { etag: `"${sha256(body).slice(0, 32)}"`, "cache-control": `public, max-age=${MAX_AGE_SECONDS}` } };
}

/** Weak comparison: a proxy that compressed the document made the tag weak. */
function names(header: string | null, etag: string | undefined): boolean {
  if (header === null || etag === undefined) return false;
  return header.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
}
