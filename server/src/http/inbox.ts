// Why: people who look after users see and tidy what an inbox keeps. Reading moves no mark: looking is not receiving.
// It must never reach into another tenant: the tenant is always the key's.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { isUserId, USER_RULE } from "@nexus/protocol/names.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Engine } from "../core/engine.ts";
import type { Page, StreamId } from "../core/ports.ts";
import { type Call, type Handler, queryOf } from "./call.ts";
import { entryJson } from "./entry-json.ts";
import { readBefore, readFlag, readLimit } from "./query.ts";

export type InboxHandlerDeps = { readonly engine: Pick<Engine, "store"> };

/** Refuse with `validation_error` (user id, query) and, where an entry is named, `not_found`. */
export function inboxHandlers({ engine }: InboxHandlerDeps): Partial<Record<OperationId, Handler>> {
  return {
    async listInbox(call) {
      const user = userOf(call);
      if (typeof user === "object") return user;
      const asked = readAsked(queryOf(call));
      if ("code" in asked) return asked;
      const inbox: StreamId = { kind: "inbox", tenant: call.caller.tenant, user };
      const page = asked.unreadOnly ? await unreadPage(engine, inbox, asked) : await engine.store.page(inbox, asked);
      return { kind: "answer", body: pageJson(user, page, await engine.store.unreadCount(inbox)) };
    },
    async deleteInboxEntry(call) {
      const user = userOf(call);
      if (typeof user === "object") return user;
      const removed = await engine.store.remove({ kind: "inbox", tenant: call.caller.tenant, user }, call.params.entry ?? "");
      if (!removed) return { code: "not_found", detail: "The inbox keeps no such notification" };
      return { kind: "answer", status: 204, body: "" };
    },
  };
}

function userOf({ params }: Call): string | Refusal {
  const { id = "" } = params;
  if (isUserId(id)) return id;
  return { code: "validation_error", detail: "The path does not match the contract", fields: [{ pointer: "/id", detail: USER_RULE }] };
}

type Asked = { readonly limit: number; readonly before?: number; readonly unreadOnly: boolean };

function readAsked(query: URLSearchParams): Asked | Refusal {
  const limit = readLimit(query);
  if (typeof limit === "object") return limit;
  const before = readBefore(query);
  if (typeof before === "object") return before;
  const unreadOnly = readFlag(query, "unread");
  if (typeof unreadOnly === "object") return unreadOnly;
  return { limit, unreadOnly, ...(before === undefined ? {} : { before }) };
}

/** As `store.page`, of unread entries only: an inbox is bounded, so a filter may look at all of it. */
async function unreadPage({ store }: InboxHandlerDeps["engine"], inbox: StreamId, asked: Asked): Promise<Page> {
  const { limit, before = Number.POSITIVE_INFINITY } = asked;
  const { entries, top } = await store.unread(inbox);
  const older = entries.filter(({ position }) => position !== undefined && position.offset < before);
  return {
    entries: older
      .slice(-limit)
      .reverse()
      .map((entry) => ({ entry, unread: true })),
    top,
    more: older.length > limit,
  };
}

function pageJson(user: string, { entries, top, more }: Page, unreadCount: number): string {
  const list = entries.map(({ entry, unread }) => entryJson(entry, `,"unread":${unread}`)).join(",");
  return (
    `{"user_id":${JSON.stringify(user)},"entries":[${list}],"unread_count":${unreadCount}` +
    `,"epoch":${JSON.stringify(top.epoch)},"top":${top.offset},"more":${more}}`
  );
}
