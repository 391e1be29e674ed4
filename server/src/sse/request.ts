// Why: what a request for `/sse` says, read before anything is decided. It must never decide, log or echo a token.
import { resumePoints } from "../core/resume.ts";
import type { ResumePoints } from "../core/session.ts";

/** `isReturning`: a browser came back by itself, which it does for ever unless it is told 204. */
export type SseRequest = {
  readonly token: string | undefined;
  readonly ticket: string | undefined;
  readonly origin: string | undefined;
  readonly channels: readonly string[];
  readonly resume: ResumePoints | undefined;
  readonly isReturning: boolean;
};

/** The cursor of `Last-Event-ID` wins over `?cursor=`: it is the younger one. */
export function readSseRequest(request: Request): SseRequest {
  const { searchParams } = new URL(request.url);
  const { headers } = request;
  const lastEventId = headers.get("last-event-id") ?? "";
  const cursor = lastEventId === "" ? (searchParams.get("cursor") ?? "") : lastEventId;
  const channels = searchParams.getAll("channels").flatMap((list) => list.split(","));
  return {
    token: searchParams.get("token") || bearer(headers.get("authorization")),
    ticket: searchParams.get("ticket") || undefined,
    origin: headers.get("origin") ?? undefined,
    channels: channels.filter((name) => name !== ""),
    resume: resumePoints(cursor),
    isReturning: lastEventId !== "",
  };
}

const bearer = (header: string | null): string | undefined => /^bearer +(.+)$/i.exec(header ?? "")?.[1]?.trim();
