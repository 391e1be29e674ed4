// Why: receipts of all tenants share a few hashes, so those of a deleted tenant are picked out field by field.
// It must never hold up the scripts that add to the same hashes: a few hundred fields at a time.
import type { RedisLink, Script } from "./link.ts";

const FIELDS = 256;

/** KEYS: tally, await. ARGV: tenant. What it still awaited counts as expired in the sum over all tenants, so that nothing is pending for ever. */
const DROP: Script = {
  name: "nexusReceiptsDrop",
  lua: `
local tally, awaited, tenant = KEYS[1], KEYS[2], ARGV[1]
local open = 0
for _, at in ipairs(redis.call('HKEYS', awaited)) do
  local of = cmsgpack.unpack(redis.call('HGET', awaited, at))
  if of[tenant] then
    open = open + of[tenant]
    of[tenant] = nil
    if next(of) then redis.call('HSET', awaited, at, cmsgpack.pack(of)) else redis.call('HDEL', awaited, at) end
  end
end
redis.call('HDEL', tally, tenant)
local all = redis.call('HGET', tally, '*')
if open ~= 0 and all then
  local sum = {}
  for n in string.gmatch(all, '%S+') do sum[#sum + 1] = tonumber(n) end
  sum[3] = sum[3] + open
  for i = 1, #sum do sum[i] = string.format('%.0f', sum[i]) end
  redis.call('HSET', tally, '*', table.concat(sum, ' '))
end
return open`,
};

/** One partition: `[meta, tally, await, …segments]`. Rejects with `Failure` `broker_unavailable`. */
export async function purgeReceipts(link: Pick<RedisLink, "run" | "call">, keys: readonly string[], tenant: string): Promise<void> {
  const [, tally = "", awaited = "", ...segments] = keys;
  for (const segment of segments) {
    for (let cursor: string | undefined = "0"; cursor !== undefined; ) {
      const reply = await link.call("HSCAN", segment, cursor, "MATCH", `${tenant}/*`, "COUNT", FIELDS);
      const [next, flat] = Array.isArray(reply) ? reply : ["0", []];
      const fields = Array.isArray(flat) ? flat.filter((_, at) => at % 2 === 0).map(String) : [];
      if (fields.length > 0) await link.call("HDEL", segment, ...fields);
      cursor = String(next) === "0" ? undefined : String(next);
    }
  }
  await link.run(DROP, [tally, awaited], [tenant]);
}
