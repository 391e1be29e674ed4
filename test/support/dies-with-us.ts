// Why: a test process that is killed (a deadline, an interrupt) cannot clean up, and servers it started would stay for ever.
// It must never end a process whose parent is alive.

/** `command` as a child that the kernel ends when this process is gone; as it is where `setpriv` is missing (util-linux). */
export function diesWithUs(command: readonly string[]): string[] {
  return Bun.which("setpriv") ? ["setpriv", "--pdeathsig", "KILL", "--", ...command] : [...command];
}
