// Why: `npm start` is tested as a process, from outside: what it prints, what it serves, how it ends. Each test has its own
// copy of the files and a free port; dispose ends exactly the process it started.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";

const root = join(import.meta.dir, "../..");
const MAIN = join(root, "cli/src/main.ts");

export type Ready = {
  readonly url: string;
  readonly ops_url: string;
  readonly tenants: readonly { readonly tenant_id: string; readonly api_key: string; readonly jwt_secret: string }[];
  readonly platform_key: string;
  readonly pid: number;
};

/** Variables of the developer's shell must not change a test. */
const cleanEnv = (extra: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined || name.startsWith("NEXUS_") ? [] : [[name, value]])),
  ),
  NO_COLOR: "1",
  ...extra,
});

export type Finished = { readonly code: number; readonly out: string; readonly err: string };

/** Runs a command to its end, at most a minute: one that hangs is ended, one on a busy machine is not. */
export async function nexus(args: readonly string[], env: Readonly<Record<string, string>> = {}, input?: string): Promise<Finished> {
  const child = Bun.spawn([process.execPath, "--no-env-file", MAIN, ...args], {
    stdin: input === undefined ? "ignore" : new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnv(env),
    timeout: 60_000,
  });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { code, out, err };
}

/** A folder of its own with the quickstart's files; removed when disposed. */
export function quickstartCopy() {
  const path = mkdtempSync(join(tmpdir(), "nexus-dev-"));
  cpSync(join(root, "examples/quickstart"), path, { recursive: true });
  return {
    path,
    write: (name: string, text: string) => writeFileSync(join(path, name), text),
    edit: (name: string, from: string, to: string) =>
      writeFileSync(join(path, name), readFileSync(join(path, name), "utf8").replace(from, to)),
    remove: (name: string) => rmSync(join(path, name)),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A `nexus` that goes on running, with everything it said. */
export class Running implements AsyncDisposable {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  out = "";
  err = "";
  readonly #read: Promise<unknown>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = Bun.spawn([process.execPath, "--no-env-file", MAIN, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: cleanEnv(env),
    });
    this.#read = Promise.all([this.#follow(this.child.stdout, "out"), this.#follow(this.child.stderr, "err")]);
  }

  /** Waits until it said so. */
  async says(stream: "out" | "err", text: string | RegExp): Promise<string> {
    return await eventually(
      `nexus says ${text}`,
      () => {
        if (typeof text === "string" ? this[stream].includes(text) : text.test(this[stream])) return this[stream];
        if (this.child.exitCode !== null) throw new Error(`nexus ended with ${this.child.exitCode}: ${this.err}`);
        return undefined;
      },
      { intervalMs: 10 },
    );
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<{ readonly code: number; readonly ms: number }> {
    const began = performance.now();
    this.child.kill(signal);
    const code = await this.child.exited;
    await this.#read;
    return { code, ms: performance.now() - began };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null) this.child.kill("SIGKILL");
    await this.child.exited;
  }

  async #follow(stream: ReadableStream<Uint8Array>, name: "out" | "err"): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this[name] += decoder.decode(chunk, { stream: true });
  }
}

/** `nexus dev` on these paths, once it is ready. */
export async function startDev(paths: readonly string[], args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const running = new Running(["dev", ...paths, "--output", "json", "--port", "0", ...args], env);
  const line = await running.says("out", "\n").catch(async (error: unknown) => {
    await running[Symbol.asyncDispose]();
    throw error;
  });
  // The shape is asserted by a test of its own.
  return Object.assign(running, { ready: JSON.parse(line) as Ready });
}

/** `POST /api/v1/notifications/<operation>` with a key. */
export async function post(ready: Ready, operation: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(`${ready.url}/api/v1/notifications/${operation}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": ready.tenants[0]?.api_key ?? "", ...headers },
    body: JSON.stringify(body),
  });
  // Every answer of the server is a JSON object, problems too.
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
