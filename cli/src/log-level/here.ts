// Why: inside a pod the program finds its own process by the variables and files it was started with, on the loopback address.
// It must never show the admin token, and never talk to another machine.
import { readFile } from "node:fs/promises";
import { ADMIN_PATHS } from "@nexus/protocol/admin.ts";
import type { LogLevel } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";

export type Wish = { readonly level: LogLevel; readonly minutes: number | undefined };
type Env = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;
/** Where the operator listens for those inside its pod. */
const OPERATOR_PORT = 8081;

/** Asks the process of this pod. @throws Error fit to be shown when it does not take it */
export async function changeHere(env: Env, wish: Wish): Promise<void> {
  const isOperator = Object.keys(env).some((name) => name.startsWith("NEXUS_OPERATOR_"));
  const answer = isOperator ? await askOperator(env, wish) : await askServer(env, wish);
  if (!answer.ok) throw new Error(`it was refused: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
}

const bodyOf = ({ level, minutes }: Wish): string => JSON.stringify({ level, ...(minutes === undefined ? {} : { minutes }) });

async function askOperator(env: Env, wish: Wish): Promise<Response> {
  const port = env.NEXUS_OPERATOR_LOCAL_PORT ?? String(OPERATOR_PORT);
  return await fetch(`http://127.0.0.1:${port}/log-level`, { method: "PUT", body: bodyOf(wish), signal: AbortSignal.timeout(TIMEOUT_MS) });
}

async function askServer(env: Env, wish: Wish): Promise<Response> {
  const parsed = parseConfig({ env });
  if (!parsed.ok) throw new Error(parsed.errors.join("; "));
  const { host, port, tokenFile } = parsed.config.admin;
  if (tokenFile === "") throw new Error("no server or operator runs here: name a CLUSTER, or --operator");
  const [token = ""] = (await readFile(tokenFile, "utf8")).split("\n");
  const address = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return await fetch(`https://${address.includes(":") ? `[${address}]` : address}:${port}${ADMIN_PATHS.logLevel}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token.trim()}`, "content-type": "application/json" },
    body: bodyOf(wish),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    // An address of this very pod: whoever could answer in its place could read the token's file as well.
    tls: { rejectUnauthorized: false },
  });
}
