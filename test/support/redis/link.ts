// Why: tests of the link open many of them and read what it said. It must never leave one open.

import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { type LinkOptions, openLink } from "@nexus/server/adapters/redis/open-link.ts";

export type LogLine = { readonly level: string; readonly event: string; readonly fields: Readonly<Record<string, unknown>> };
export type OpenedLink = AsyncDisposable & { readonly link: RedisLink; readonly lines: readonly LogLine[] };

export function linesLog(): { readonly log: LinkOptions["log"]; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, event, fields });
    };
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

export async function openTestLink(options: Partial<LinkOptions> & Pick<LinkOptions, "addresses">): Promise<OpenedLink> {
  const { log, lines } = linesLog();
  const link = await openLink({ commandTimeoutMs: 2000, log, ...options });
  return { link, lines, [Symbol.asyncDispose]: () => link.close() };
}

/** `ok`, or the code of the `Failure`, or the message of what is none. */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "ok";
  } catch (error) {
    if (error instanceof Error && "refusal" in error) return String(Reflect.get(Object(error.refusal), "code"));
    return error instanceof Error ? error.message : String(error);
  }
}
