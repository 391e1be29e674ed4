// Why: scripts are sent once per connection and by their digest after that, on every topology and after `SCRIPT FLUSH`.
// It must never send a script again that may have run: only NOSCRIPT, which is said before anything is done, repeats it.
import type { Cluster, Redis } from "ioredis";
import type { Script } from "./link.ts";

/** `keys` and `args` as `EVAL` has them. Rejects with what Redis or the client says. */
export type RunScript = (script: Script, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

/** A script whose name another one has rejects with a TypeError */
export function scriptRunner(client: Redis | Cluster): RunScript {
  const known = new Map<string, { readonly lua: string; readonly method: (...args: readonly (string | number)[]) => unknown }>();
  const define = ({ name, lua }: Script) => {
    // A name of its own space: a method of the client must not be replaced.
    const property = `nexus:${name}`;
    client.defineCommand(property, { lua });
    const method: unknown = Reflect.get(client, property);
    if (typeof method !== "function") throw new TypeError(`the client did not define ${name}`);
    const entry = { lua, method: (...args: readonly (string | number)[]): unknown => Reflect.apply(method, client, args) };
    known.set(name, entry);
    return entry;
  };
  return async (script, keys, args) => {
    const entry = known.get(script.name) ?? define(script);
    if (entry.lua !== script.lua) throw new TypeError(`two scripts are called ${script.name}`);
    return await entry.method(keys.length, ...keys, ...args);
  };
}
