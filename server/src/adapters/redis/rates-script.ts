// Why: buckets and windows as the whole fleet uses them, in Redis: each node adds what it let through, and is told what is
// left. It must never decide about a request: nodes do, at once, and learn here what the others did.
import type { Script } from "./link.ts";

export const EXCHANGE_MS = 250;
/** Slots of a window, as every node divides it. */
export const SLOTS = 60;
/** A bucket whose time is further ahead than this was written under another clock. */
const MAX_AHEAD_MS = 10_000;

/** `used`: let through here since the last exchange. */
export type BucketUse = { readonly kind: "bucket"; readonly perSecond: number; readonly burst: number; used: number };
export type WindowUse = { readonly kind: "window"; readonly windowMs: number; used: number };
export type Use = BucketUse | WindowUse;

/**
 * One key per bucket or window. ARGV[1]: now in ms, empty for Redis' own time; then for each key `bucket`, tokens a second,
 * burst, used; or `window`, its length in ms, used, used. Answers for each the tokens that are left (negative: debts), or
 * what is counted in the window, as `age:count` in sixtieths of its length.
 */
export const EXCHANGE: Script = {
  name: "nexusRatesExchange",
  lua: `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function whole(n) return string.format('%.0f', n) end
local function bucket(key, rate, burst, used)
  local stored = redis.call('GET', key)
  local tokens, at = burst, now
  if stored then
    local t, a = string.match(stored, '^(%S+) (%S+)$')
    tokens, at = tonumber(t), tonumber(a)
    if at > now + ${MAX_AHEAD_MS} then at = now end
    if now > at then
      tokens = tokens + (now - at) / 1000 * rate
      at = now
    end
    -- What was used since the last exchange is not told yet: so much more than the burst may have come in.
    tokens = math.min(tokens, burst + rate * ${EXCHANGE_MS / 1000})
  end
  tokens = tokens - used
  local full = math.ceil((burst - tokens) / rate * 1000) + 1000
  redis.call('SET', key, string.format('%.6f %.0f', tokens, at), 'PX', whole(full))
  return string.format('%.6f', math.min(tokens, burst))
end
local function window(key, length, used)
  local slotMs = length / ${SLOTS}
  local slot = math.floor(now / slotMs)
  local kept, answer, mine = {}, {}, used
  for text, count in string.gmatch(redis.call('GET', key) or '', '(%d+):(%d+)') do
    local at = tonumber(text)
    if at == slot then
      mine = mine + tonumber(count)
    elseif at >= slot - ${SLOTS} and at < slot then
      kept[#kept + 1] = text .. ':' .. count
      answer[#answer + 1] = whole(slot - at) .. ':' .. count
    end
  end
  kept[#kept + 1] = whole(slot) .. ':' .. whole(mine)
  answer[#answer + 1] = '0:' .. whole(mine)
  redis.call('SET', key, table.concat(kept, ' '), 'PX', whole(math.ceil(length + 2 * slotMs)))
  return table.concat(answer, ' ')
end
local answers = {}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 4
  local a, b, c = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  if ARGV[at] == 'bucket' then answers[i] = bucket(key, a, b, c) else answers[i] = window(key, a, b) end
end
return answers`,
};

export const argsOf = (use: Use): readonly (string | number)[] =>
  use.kind === "bucket" ? ["bucket", use.perSecond, use.burst, use.used] : ["window", use.windowMs, use.used, use.used];

/** By age. An age is rounded up by Redis' slots and down by this node's, so one less is surely not too old. */
export function countsOf(answer: string): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const part of answer.split(" ")) {
    const [age = 0, count = 0] = part.split(":").map(Number);
    const at = Math.max(age - 1, 0);
    counts.set(at, (counts.get(at) ?? 0) + count);
  }
  return counts;
}
