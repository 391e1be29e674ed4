// Why: publishing is one atomic step in Redis: asked before, place, keep, trim, count, announce. What is said here holds
// for every node at once. It must never announce what it did not keep, nor keep a thing twice for one idempotency key.

import type { Script } from "./link.ts";
import { MAX_BYTES, META_FIELDS } from "./lua-stream.ts";

/** How long the record of an idempotent publish lives, in milliseconds. */
export const RECORD_MS = 86_400_000;
/** How much longer than its entries the meta of a stream lives, in milliseconds: 30 days. */
const META_MS = 2_592_000_000;
/** Clocks of nodes differ; entries are kept so much longer than the slowest may think, in milliseconds. */
const SKEW_MS = 30_000;
/** Every so many offsets the old end is looked at for entries that outlived the stream's retention. */
const TIDY_EVERY = 32;
/** Of more entries that leave at once (a retention that was cut down) nobody asks which could still have been read. */
const MOST_LOOKED_AT = TIDY_EVERY * 2;

/** `now` and `record`: a record that is still good ends the script. It is handed out as a list, other answers are texts. */
const ASK = (key: string) => `
local now = tonumber(ARGV[1])
local record = ${key}
if record then
  local known = redis.call('GET', record)
  if known and tonumber(string.match(known, '^%d+')) > now then return {known} end
end
`;

/** `answer` (`<sessions> <offset> <epoch>`) is kept with what the caller knows, and given back. */
const ANSWER = `
if record then redis.call('SET', record, (now + ${RECORD_MS}) .. '\\n' .. answer .. '\\n' .. ARGV[4], 'PX', ${RECORD_MS}) end
return answer
`;

/** `online`: what the caller counted, or the leases in KEYS[1] that live by Redis' own time. */
const COUNT = `
local online = tonumber(ARGV[3])
if not online then
  online = 0
  local leases = redis.call('HVALS', KEYS[1])
  if #leases > 0 then
    local time = redis.call('TIME')
    local at = time[1] * 1000 + time[2] / 1000
    for i = 1, #leases do
      local till, count = string.match(leases[i], '^(%d+)|(%d*)')
      if till and tonumber(till) > at then online = online + (tonumber(count) or 1) end
    end
  end
end
`;

/**
 * A stream without history, or (with an empty entry) a publish of ttl 0.
 * KEYS: leases, announcements, record?. ARGV: now, entry, sessions online or empty, record's tail.
 */
export const PUBLISH_LIVE: Script = {
  name: "nexusPublishLive",
  lua: `${ASK("KEYS[3]")}${COUNT}
if ARGV[2] ~= '' then redis.call('SPUBLISH', KEYS[2], '\\n' .. ARGV[2]) end
local answer = online .. ' 0 -'
${ANSWER}`,
};

/**
 * What leaves up to `cut` was lost if its own ttl would have let it be read; where there may be some that were not, each is
 * looked at. Now and then what has expired by itself leaves too. The newest stays.
 */
const CUT = `
local first = offset - size + 1
local leaving = cut - first + 1
local isTidying = offset % ${TIDY_EVERY} == 0
if special < first and not isTidying then
  if leaving > 0 then lost = math.max(lost, cut) end
else
  local at, bytes = 0, 0
  while at < size - 1 and (at < leaving or isTidying) do
    if at >= ${MOST_LOOKED_AT} or bytes >= ${MAX_BYTES} then
      if at < leaving then
        lost = math.max(lost, cut)
        at = leaving
      end
      break
    end
    local old = redis.call('LINDEX', KEYS[4], at)
    local till, ownTill = string.match(old, '^(%d+) (%d+)\\n')
    if at >= leaving and till and tonumber(till) > now then break end
    if till and (ownTill == '0' or tonumber(ownTill) > now) then lost = math.max(lost, first + at) end
    at, bytes = at + 1, bytes + #old
  end
  leaving = at
end
if leaving > 0 then redis.call('LTRIM', KEYS[4], leaving, -1) end
`;

/**
 * A stream with history. KEYS: leases, announcements, meta, entries, acknowledged, record?.
 * ARGV: now, entry, sessions online or empty, record's tail, epoch for a stream that does not exist, entries to keep,
 * when this one expires, when by its own ttl (0: never), and for how many milliseconds entries are kept.
 */
export const PUBLISH: Script = {
  name: "nexusPublish",
  lua: `${ASK("KEYS[6]")}${COUNT}
local h = redis.call('HMGET', KEYS[3], ${META_FIELDS}, 's', 'r')
local epoch, offset = h[1], (tonumber(h[2]) or 0) + 1
local lost, last, ends = tonumber(h[4]) or 0, tonumber(h[5]) or 0, tonumber(h[6]) or 0
local special, held = tonumber(h[7]) or 0, tonumber(h[8]) or 0
local set = {'HSET', KEYS[3], 't', offset}
local function put(field, value) set[#set + 1] = field; set[#set + 1] = value end
local expires, own = tonumber(ARGV[7]), tonumber(ARGV[8])
local cut = offset - tonumber(ARGV[6])
local before = lost
local text = ARGV[7] .. ' ' .. ARGV[8] .. '\\n' .. ARGV[2]
local size = 0
if epoch then
  size = redis.pcall('RPUSHX', KEYS[4], text) -- the first write: a Redis that takes none says so here
  if type(size) == 'table' then return size end
  if size > offset then epoch = nil end -- more entries than the meta knows of: nobody can say what their offsets were
end
if not epoch then
  -- only where there is something: after the first write of a script Redis looks at its memory limit no more
  if redis.call('EXISTS', KEYS[4], KEYS[5]) > 0 then redis.call('UNLINK', KEYS[4], KEYS[5]) end
  epoch, offset, lost, last, ends, size = ARGV[5], 1, 0, 0, 0, 0
  set = {'HSET', KEYS[3], 'e', epoch, 't', 1, 'k', 0, 'l', 0, 'f', 0, 'd', 0, 's', 0}
elseif size == 0 then -- the entries' key is gone, by time or by eviction
  if last > 0 and ends <= now then lost = math.max(lost, last - 1) else lost = offset - 1 end
else
  ${CUT}
end
local isNew = size == 0
if isNew then redis.call('RPUSH', KEYS[4], text) end
if lost ~= before then put('l', lost) end
if own > 0 then
  put('s', offset)
  if last == 0 then put('f', offset); put('d', own) elseif own > ends then put('d', own) end
elseif last > 0 then
  put('f', 0); put('d', 0)
end
if isNew or expires > held then
  local keep = tonumber(ARGV[9])
  keep = keep + math.min(math.max(math.floor(keep / 4), 10000), 3600000)
  redis.call('PEXPIRE', KEYS[4], keep + ${SKEW_MS})
  redis.call('PEXPIRE', KEYS[5], keep + ${SKEW_MS})
  redis.call('PEXPIRE', KEYS[3], keep + ${SKEW_MS + META_MS})
  put('r', now + keep)
end
redis.call(unpack(set))
redis.call('SPUBLISH', KEYS[2], epoch .. ' ' .. offset .. '\\n' .. ARGV[2])
local answer = online .. ' ' .. offset .. ' ' .. epoch
${ANSWER}`,
};
