// Why: runs one program of a tier with its output shown while it happens, and keeps the text for the tally.
// It must never swallow a signal: a runner that is told to stop takes its children along.

export type Finished = { readonly exitCode: number; readonly stderr: string; readonly seconds: number };

/** Streams both outputs through; resolves when the program ended. `cwd` is the repository root. */
export async function runShown(command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const started = performance.now();
  const child = Bun.spawn([...command], { cwd, env: { ...process.env, ...env }, stdin: "ignore", stdout: "inherit", stderr: "pipe" });
  const stop = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGTERM", stop).on("SIGINT", stop);
  let stderr = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk);
    stderr += decoder.decode(chunk, { stream: true });
  }
  const exitCode = await child.exited;
  process.off("SIGTERM", stop).off("SIGINT", stop);
  return { exitCode, stderr, seconds: (performance.now() - started) / 1000 };
}
