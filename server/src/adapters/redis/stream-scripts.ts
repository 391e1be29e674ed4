// Why: reading a stream and moving its marks in Redis, each call one atomic look. Entries that nobody asked for stay where
// they are. It must never answer a part as if it were the whole: `next` says where to read on.
import type { Script } from "./link.ts";
import { FIND, OPEN, WALK } from "./lua-stream.ts";

// KEYS of all, unless said otherwise: meta, entries, acknowledged. ARGV of all: epoch for a stream that does not exist, now.

/** Answers epoch, top. */
export const TOP: Script = { name: "nexusTop", lua: `${OPEN} return {epoch, top}` };

/** ARGV: epoch and offset somebody was told. A store that is behind them starts another epoch. Answers epoch, top. */
export const SEEN: Script = {
  name: "nexusSeen",
  lua: `${OPEN}
if epoch == ARGV[3] and top < tonumber(ARGV[4]) then
  epoch = ARGV[1]
  redis.call('HSET', KEYS[1], 'e', epoch)
end
return {epoch, top}`,
};

/**
 * ARGV: epoch and offset to read after. Answers reason or empty, epoch, top, next offset to read after (the top: done),
 * then offset and text of each entry.
 */
export const READ: Script = {
  name: "nexusRead",
  lua: `${OPEN}${WALK}
local since = tonumber(ARGV[4])
if ARGV[3] ~= epoch then return {'epoch_changed', epoch, top} end
if since > top then return {'unverifiable', epoch, top} end
if since < (tonumber(h[4]) or 0) then return {'window_exceeded', epoch, top} end
local out = {'', epoch, top, top}
if since == top then return out end
local lost = false
local next = walk(since + 1, 1, function(offset, expires, own, text)
  if expires > now then
    out[#out + 1] = offset
    out[#out + 1] = text
  elseif own == 0 or own > now then
    lost = true
    return true
  end
end)
if size == 0 then
  local run, ends = tonumber(h[5]) or 0, tonumber(h[6]) or 0
  lost = run == 0 or since < run - 1 or ends > now
end
if lost then return {'window_exceeded', epoch, top} end
out[4] = next or top
return out`,
};

/** ARGV: offset to read after. Answers epoch, top, next (as above), then offset and text of each unread entry. */
export const UNREAD: Script = {
  name: "nexusUnread",
  lua: `${OPEN}${WALK}
local from = math.max(mark, tonumber(ARGV[3]))
local out = {epoch, top, top}
if from >= top then return out end
local done = {}
for _, offset in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], from + 1, '+inf')) do done[tonumber(offset)] = true end
out[3] = walk(from + 1, 1, function(offset, expires, own, text)
  if expires > now and not done[offset] then
    out[#out + 1] = offset
    out[#out + 1] = text
  end
end) or top
return out`,
};

/** ARGV: offset to count after. Answers how many, top, next. */
export const UNREAD_COUNT: Script = {
  name: "nexusUnreadCount",
  lua: `${FIND("{0, 0, 0}")}${WALK}
local from = math.max(mark, tonumber(ARGV[3]))
if from >= top then return {0, top, top} end
local done, count = {}, 0
for _, offset in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], from + 1, '+inf')) do done[tonumber(offset)] = true end
local next = walk(from + 1, 1, function(offset, expires)
  if expires > now and not done[offset] then count = count + 1 end
end)
return {count, top, next or top}`,
};

/**
 * ARGV: only offsets below, how many. Answers epoch, top, next offset to go on below (0: done), 1 when an older one is
 * kept below the last, then offset, 1 when it is unread in an inbox, and text of each entry.
 */
export const PAGE: Script = {
  name: "nexusPage",
  lua: `${OPEN}${WALK}
local limit, size = tonumber(ARGV[4]), 0
local out = {epoch, top, 0, 0}
local hasDone = redis.call('EXISTS', KEYS[3]) == 1
local next = walk(tonumber(ARGV[3]) - 1, -1, function(offset, expires, own, text)
  if expires <= now then return end
  if size == limit then
    out[4] = 1
    return true
  end
  size = size + 1
  local isUnread = offset > mark and not (hasDone and redis.call('ZSCORE', KEYS[3], offset))
  out[#out + 1] = offset
  out[#out + 1] = isUnread and 1 or 0
  out[#out + 1] = text
end)
if next and next ~= true then out[3] = next end
return out`,
};

/** `find(isGone)`: the entry with id ARGV[3] from ARGV[4] (or `+`) down that is not gone; its offset, or what `walk` says. */
const BY_ID = `${WALK}
local begin = ARGV[3] .. '\\n'
local function find(isGone)
  local found
  local next = walk(tonumber(ARGV[4]) or top, -1, function(offset, expires, own, text, at)
    if string.sub(text, at, at + #begin - 1) == begin and not isGone(expires) then
      found = offset
      return true
    end
  end)
  return found, next
end
`;

/** The mark moves over every leading entry that nobody waits for any more: acknowledged, removed or expired. */
const RAISE = `
local function raise()
  local at = mark
  local next = walk(mark + 1, 1, function(offset, expires)
    if expires > now and not redis.call('ZSCORE', KEYS[3], offset) then
      at = offset - 1
      return true
    end
  end)
  if next == nil then at = top elseif next ~= true then at = next end
  if at <= mark then return end
  redis.call('HSET', KEYS[1], 'k', at)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', at)
end
`;

const ENDED = "if not found then return next and -(next - 1) or 0 end";

/** ARGV: unused, now, id, highest offset to look at. Answers 1, 0, or below 0 the offset to look on from. */
export const HAS: Script = {
  name: "nexusHas",
  lua: `${FIND("0")}${BY_ID}
local found, next = find(function() return false end)
${ENDED}
return 1`,
};

/** As `HAS`, and notes it. */
export const ACKNOWLEDGE: Script = {
  name: "nexusAcknowledge",
  lua: `${FIND("0")}${BY_ID}${RAISE}
local found, next = find(function() return false end)
${ENDED}
if found > mark then
  redis.call('ZADD', KEYS[3], found, found)
  redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[2]), 1))
  raise()
end
return 1`,
};

/** As `HAS` for what has not expired, and takes it out. */
export const REMOVE: Script = {
  name: "nexusRemove",
  lua: `${FIND("0")}${BY_ID}${RAISE}
local found, next = find(function(expires) return expires <= now end)
${ENDED}
redis.call('LSET', KEYS[2], found - first, '')
redis.call('HSET', KEYS[1], 's', math.max(found, tonumber(redis.call('HGET', KEYS[1], 's')) or 0))
raise()
return 1`,
};

/** KEYS: meta of streams of one partition. ARGV: epoch and offset for each. A mark never moves back nor past the top. */
export const SET_MARKS: Script = {
  name: "nexusSetMarks",
  lua: `
for i = 1, #KEYS do
  local h = redis.call('HMGET', KEYS[i], 'e', 't', 'k')
  local mark = math.min(tonumber(ARGV[2 * i]), tonumber(h[2]) or 0)
  if h[1] == ARGV[2 * i - 1] and mark > (tonumber(h[3]) or 0) then redis.call('HSET', KEYS[i], 'k', mark) end
end
return #KEYS`,
};
