// Why: which keys hold something of one tenant, decided exactly: a search by pattern finds more than is meant.
// It must never take a key for a tenant's because its name, a user or a channel looks like it.
import { isStreamOf } from "../../core/streams.ts";
import type { KeyKind, Keys } from "./keys.ts";

/** Kinds whose name begins with a stream's; with the tenant itself; with the tenant and a slash. Others hold no tenant or end within minutes. */
const OF_STREAMS = "emakul";
const OF_TENANTS = "ctn";
const BELOW_TENANTS = "w";
const KINDS = `${OF_STREAMS}${OF_TENANTS}${BELOW_TENANTS}`;

export type TenantKeys = {
  /** For `SCAN … MATCH`: all keys of the tenant and some others. A tenant id holds nothing that is special in a pattern. */
  readonly pattern: string;
  /** Whether the key holds something of this tenant and of nobody else. */
  isTheirs(key: string): boolean;
};

export function tenantKeys(keys: Keys, tenant: string): TenantKeys {
  // As it is written for partition 7, cut where the partition is named.
  const sample = keys.at(7, "e", "");
  const root = sample.slice(0, sample.lastIndexOf("{p7}"));
  const isTheirStream = isStreamOf(tenant);
  return {
    pattern: `${root.replace(/[\\*?[\]]/g, "\\$&")}{p*}:[${KINDS}]:*${tenant}*`,
    isTheirs(key) {
      if (!key.startsWith(root)) return false;
      const rest = /^\{p\d{1,3}\}:([a-z]):/.exec(key.slice(root.length));
      const kind = rest?.[1] as KeyKind | undefined; // compared with those there are
      if (!rest || kind === undefined) return false;
      const name = key.slice(root.length + rest[0].length);
      if (OF_STREAMS.includes(kind)) return isTheirStream(name.split("\n", 1)[0] ?? name);
      if (OF_TENANTS.includes(kind)) return name === tenant || name.startsWith(`${tenant}/`);
      return BELOW_TENANTS.includes(kind) && name.startsWith(`${tenant}/`);
    },
  };
}
