// Why: what a server process writes to standard output is how tests know it from outside. Anything that is no log line fails.
import { SERVER_EVENTS } from "@nexus/server/core/log-events.ts";

export type LogLine = { readonly level: string; readonly event: string } & Readonly<Record<string, unknown>>;

const ROWS = new Map<string, { readonly levels: readonly string[]; readonly fields: readonly string[] }>(Object.entries(SERVER_EVENTS));
/** What every line may have: `process` is said by one of several. */
const ALWAYS: readonly string[] = ["time", "level", "event", "process"];

/** One line of a server. @throws SyntaxError for what is no JSON; Error for a line that the catalogue does not have */
export function logLineOf(text: string): LogLine {
  const line = JSON.parse(text) as LogLine; // checked below
  const row = ROWS.get(line.event);
  if (!row?.levels.includes(line.level)) throw new Error(`no such log line in the catalogue: ${line.level} ${line.event}`);
  const unknown = Object.keys(line).filter((field) => !ALWAYS.includes(field) && !row.fields.includes(field));
  if (unknown.length > 0) throw new Error(`${line.event} has fields that the catalogue does not have: ${unknown.join(", ")}`);
  return line;
}

/** Adds each line to `lines` as it comes; resolves when the stream ends. `atMost`: the oldest leave. @throws as `logLineOf` */
export async function readLogLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: LogLine[], atMost = Infinity): Promise<void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = `${text}${chunk}`.split("\n");
    text = parts.pop() ?? "";
    for (const part of parts) lines.push(logLineOf(part)); // standard output holds log lines only
    if (lines.length > atMost) lines.splice(0, lines.length - atMost);
  }
}
