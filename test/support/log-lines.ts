// Why: what a server process writes to standard output is how tests know it from outside. Anything that is no log line fails.

export type LogLine = { readonly level: string; readonly event: string } & Readonly<Record<string, unknown>>;

/** Adds each line to `lines` as it comes; resolves when the stream ends. `atMost`: the oldest leave. @throws SyntaxError for a line that is no JSON */
export async function readLogLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: LogLine[], atMost = Infinity): Promise<void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = `${text}${chunk}`.split("\n");
    text = parts.pop() ?? "";
    for (const part of parts) lines.push(JSON.parse(part) as LogLine); // standard output holds log lines only
    if (lines.length > atMost) lines.splice(0, lines.length - atMost);
  }
}
