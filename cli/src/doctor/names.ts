// Why: half of all "cannot connect" is a name. Each host is asked for as the programs ask. It must never connect to anything.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type Check, fail, ok, warn } from "./check.ts";

export type Resolve = (host: string) => Promise<readonly string[]>;

/** By the resolver of this machine. Rejects with what it says. */
export const systemResolve: Resolve = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/** `isNeeded`: it cannot work without; otherwise only people outside miss it. Addresses need no name and no check. */
export async function nameChecks(hosts: readonly string[], resolve: Resolve, isNeeded: boolean): Promise<readonly Check[]> {
  const names = [...new Set(hosts)].filter((host) => host !== "" && isIP(host) === 0).sort();
  return await Promise.all(
    names.map(async (host) => {
      const what = `DNS ${host}`;
      const fix = `make a record for ${host}, or correct the name`;
      try {
        const addresses = await resolve(host);
        if (addresses.length > 0) return ok(what, addresses.slice(0, 4).join(", "));
        return isNeeded ? fail(what, "has no address", fix) : warn(what, "has no address", fix);
      } catch (error) {
        const seen = `does not resolve here (${error instanceof Error && "code" in error ? String(error.code) : String(error)})`;
        return isNeeded ? fail(what, seen, fix) : warn(what, seen, fix);
      }
    }),
  );
}
