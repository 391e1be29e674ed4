// Why: tests start real programs and must end exactly those, also the ones a crashed run left. A pid alone is reused by
// the kernel; pid and start time together name one process for ever. Nothing here may signal a process it cannot name so.
import { readdirSync, readFileSync } from "node:fs";
import { platform } from "node:os";
import { eventually } from "./eventually.ts";

/** One process: its pid and when it started (clock ticks since boot on Linux, `ps` text elsewhere). */
export type ProcessIdentity = { readonly pid: number; readonly started: string };

/** The identity of a running process, or undefined when there is none (a zombie counts as ended). */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = platform() === "linux" ? startedLinux(pid) : startedByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

/** Whether this very process still runs. */
export const isRunning = (known: ProcessIdentity): boolean => identify(known.pid)?.started === known.started;

/** Kills these processes with SIGKILL and waits until each is gone; those already gone or replaced are left alone. */
export async function killAll(processes: readonly ProcessIdentity[]): Promise<void> {
  for (const known of processes) if (isRunning(known)) signal(known.pid);
  await eventually(`processes ${processes.map(({ pid }) => pid).join(", ")} ended`, () => !processes.some(isRunning), { intervalMs: 10 });
}

/** Direct children of a process (Linux only). */
export function childrenOf(pid: number): number[] {
  const text = readIfThere(`/proc/${pid}/task/${pid}/children`) ?? "";
  return text.split(" ").filter(Boolean).map(Number);
}

function startedLinux(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold anything, also ") ": count fields after the last one. proc_pid_stat(5): 3 state, 22 start.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (fields[0] === "Z" || fields[0] === "X") && !hasOtherThreads(pid) ? undefined : fields[19];
}

/** A killed program's first thread turns zombie while others still hold its sockets: only then is it not yet gone. */
function hasOtherThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch (error) {
    if (isCode(error, "ENOENT", "ESRCH")) return false;
    throw error;
  }
}

function startedByPs(pid: number): string | undefined {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", String(pid)]);
  const [state = "", ...started] = stdout.toString().trim().split(/\s+/);
  return state === "" || state.startsWith("Z") ? undefined : started.join(" ");
}

/** A process may end between the look and the read: ENOENT and ESRCH both say so. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!isCode(error, "ESRCH")) throw error;
  }
}

const isCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);
