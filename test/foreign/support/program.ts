// Why: runs a client of another language as a child that talks in JSON lines. It must never leave it running, and what it
// complained about must show when it dies.
import { type ClientEvent, ForeignClient } from "./client.ts";

/** Starts the program; its end of input is its order to end. */
export function startProgram(argv: readonly string[]): ForeignClient {
  // PATH and HOME only: nobody's proxy settings.
  const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "" };
  const child = Bun.spawn([...argv], { stdin: "pipe", stdout: "pipe", stderr: "pipe", env });
  const complaints = new Response(child.stderr).text();
  const client = new ForeignClient(
    (command) => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      child.stdin.flush();
    },
    async () => {
      await child.stdin.end();
      const stop = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const code = await child.exited;
      clearTimeout(stop);
      await reading;
      const text = (await complaints).trim();
      if (code !== 0 || text !== "") throw new Error(`${argv.join(" ")} ended with ${code}: ${text}`);
    },
  );
  const reading = readLines(child.stdout, (line) => client.take(JSON.parse(line) as ClientEvent)); // our own programs' lines
  return client;
}

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") take(line);
  }
}
