// Why: the flags of a server process are its configuration's own names, so they are split here without knowing any of
// them; the configuration then says which exist. It must never look at the environment.

export type Flags =
  | { readonly ok: true; readonly flags: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly errors: readonly string[] };

/** `--name value`, `--name=value`, or `--name` alone for true. Anything else is named in `errors`. */
export function readFlags(args: readonly string[]): Flags {
  const flags = new Map<string, string>();
  const errors: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    const [, name, , value] = /^(--[a-z][a-z0-9-]*)(=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined) {
      errors.push(`argument ${i + 1}: expected a flag such as --http-port`);
      continue;
    }
    if (flags.has(name)) errors.push(`${name}: is there twice`);
    const next = args[i + 1];
    if (value !== undefined) flags.set(name, value);
    else if (next !== undefined && !next.startsWith("--")) {
      flags.set(name, next);
      i++;
    } else flags.set(name, "true");
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, flags };
}
