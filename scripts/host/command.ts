// Why: scripts and tests run other programs to their end and read what they said. A failure is a value here; whoever needs success
// asks for it by name. It must never go through a shell.

export type CommandResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. @param stdin what it reads (nothing by default) */
export async function run(argv: readonly string[], stdin = ""): Promise<CommandResult> {
  const child = Bun.spawn([...argv], { stdin: new Blob([stdin]), stdout: "pipe", stderr: "pipe" });
  const [code, stdout, stderr] = await Promise.all([child.exited, new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code, stdout, stderr };
}

/** Runs a program that has to succeed; answers its output. @throws Error with what it wrote */
export async function runOrThrow(argv: readonly string[], stdin = ""): Promise<string> {
  const { code, stdout, stderr } = await run(argv, stdin);
  if (code !== 0) throw new Error(`${argv.join(" ")} failed (${code}): ${stderr.trim() || stdout.trim()}`);
  return stdout;
}
