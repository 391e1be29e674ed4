// Why: what a receipt is in Redis, and the one script that changes receipts: a whole batch of publishes and ACKs of one
// partition in a handful of commands. It must never be told a payload.
//
// A partition has a ring of segments (hashes); new receipts go to the head, and when it is full or six hours old the next
// one is begun and the oldest let go, which forgets the oldest first without an index.
//   segment   `<tenant>/<id>`          -> five lines: numbers, head JSON, targets JSON, ACKs JSON, and the first user with its state
//             `<tenant>/<id>\n<user>`  -> the state of each further user
//             numbers are occurredAt, targets, deliveredTo, listed targets, ACKs; a state is when the user's ACK comes too late
//             (ms since 1970), or `a` once it came; users are JSON strings
//   tally     `<tenant>` or `*`        -> tracked, acknowledged, expired, latency in ms
//   await     `<ms since 1970>`        -> how many ACKs of which tenant come too late from then on
import type { Script } from "./link.ts";

export const SEGMENTS = 6;
const DAY_MS = 86_400_000;
/** A segment that nobody fills is closed after this, so that nothing stays much longer than a day. */
const SEGMENT_MS = 21_600_000;
/** Targets and ACKs beyond are counted, not listed. */
export const MAX_LISTED = 100;

/** KEYS: meta, tally, await, then the segments. ARGV[1]: now, in ms since 1970. */
const COMMON = `
local meta, tally, awaited = KEYS[1], KEYS[2], KEYS[3]
local SEGMENTS, DAY, SEGMENT, LISTED = ${SEGMENTS}, ${DAY_MS}, ${SEGMENT_MS}, ${MAX_LISTED}
local now = tonumber(ARGV[1])
local function int(n) return string.format('%.0f', n) end
local known = redis.call('HMGET', meta, 'head', 'tail', 'weight', 'since', 'swept')
local head, tail = tonumber(known[1] or 0), tonumber(known[2] or 0)
local weight, since = tonumber(known[3] or 0), tonumber(known[4] or now)
local swept = math.max(tonumber(known[5] or 0), now)
local function segment(n) return KEYS[4 + n % SEGMENTS] end

local tallies = {}
local function tallied(tenant, what, by)
  local of = tallies[tenant]
  if not of then
    of = {0, 0, 0, 0}
    tallies[tenant] = of
  end
  of[what] = of[what] + by
end
local function chunks(list, size, use)
  for from = 1, #list, size do use(unpack(list, from, math.min(from + size - 1, #list))) end
end
local function sweep()
  local due = {}
  for _, at in ipairs(redis.call('HKEYS', awaited)) do
    if tonumber(at) <= swept then due[#due + 1] = at end
  end
  chunks(due, 1000, function(...)
    for _, packed in ipairs(redis.call('HMGET', awaited, ...)) do
      for tenant, count in pairs(cmsgpack.unpack(packed)) do tallied(tenant, 3, count) end
    end
    redis.call('HDEL', awaited, ...)
  end)
end
local function saveTallies()
  local names, all = {}, {0, 0, 0, 0}
  for tenant, of in pairs(tallies) do
    names[#names + 1] = tenant
    for what = 1, 4 do all[what] = all[what] + of[what] end
  end
  if #names == 0 then return end
  names[#names + 1] = '*'
  tallies['*'] = all
  chunks(names, 1000, function(...)
    local some, set = {...}, {}
    for i, text in ipairs(redis.call('HMGET', tally, ...)) do
      local by, sum, at = tallies[some[i]], {}, 0
      for n in string.gmatch(text or '0 0 0 0', '%S+') do
        at = at + 1
        sum[at] = int(tonumber(n) + by[at])
      end
      set[#set + 1] = some[i]
      set[#set + 1] = table.concat(sum, ' ')
    end
    redis.call('HSET', tally, unpack(set))
  end)
end
-- Where each of the names is: its segment's key and text, newest first.
local function locate(names)
  local found, missing = {}, names
  for n = head, tail, -1 do
    local rest, key = {}, segment(n)
    chunks(missing, 1000, function(...)
      local some = {...}
      for i, text in ipairs(redis.call('HMGET', key, ...)) do
        if text then found[some[i]] = {key, text} else rest[#rest + 1] = some[i] end
      end
    end)
    missing = rest
    if #missing == 0 then break end
  end
  return found
end
`;

/**
 * ARGV: now; most weight of a segment; JSON of publishes and ACKs. A publish is its name, tenant, sequence, the text of a
 * receipt that has only it, the deadline of the user in that text (0: none), further users `[user, deadline]`, and its weight.
 * An ACK is name, tenant, sequence, user, at. Answers the indexes (from 0) of ACKs whose notification was not known when they came.
 */
export const TAKE: Script = {
  name: "nexusReceiptsTake",
  lua: `${COMMON}
local maxWeight = tonumber(ARGV[2])
while tail < head and tonumber(redis.call('HGET', meta, 'end' .. tail) or 0) + DAY <= now do
  redis.call('UNLINK', segment(tail))
  redis.call('HDEL', meta, 'end' .. tail)
  tail = tail + 1
end
if weight >= maxWeight or since + SEGMENT <= now then
  redis.call('HSET', meta, 'end' .. head, int(now))
  head, weight, since = head + 1, 0, now
  if head - tail >= SEGMENTS then
    redis.call('UNLINK', segment(tail))
    redis.call('HDEL', meta, 'end' .. tail)
    tail = tail + 1
  end
end
sweep()

local batch = cjson.decode(ARGV[3])
local publishes, acks = batch[1], batch[2]
local function opened(r)
  if r.count then return r end
  local at, count, delivered, listed, acked, headJson, texts, ackTexts, state, user =
    string.match(r.text, '^(%d+) (%d+) (%d+) (%d+) (%d+)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(%w*) ?(.*)$')
  r.occurredAt, r.count, r.delivered, r.listed, r.acks = tonumber(at), tonumber(count), tonumber(delivered), tonumber(listed), tonumber(acked)
  r.head, r.texts, r.ackTexts, r.state, r.user = headJson, texts, ackTexts, state, user
  return r
end

local names, seen = {}, {}
for _, list in ipairs({publishes, acks}) do
  for i = 1, #list do
    local id = list[i][1]
    if not seen[id] then
      seen[id] = true
      names[#names + 1] = id
    end
  end
end
local records = {}
for id, place in pairs(locate(names)) do
  if tonumber(string.match(place[2], '^%d+')) + DAY > now then records[id] = {key = place[1], text = place[2]} end
end
-- Further users that may be there already: those of receipts that were known before this batch.
local wanted, states = {}, {}
local function want(id, user)
  local r = records[id]
  if not r or user == '' or opened(r).user == user then return end
  local list = wanted[r.key] or {}
  list[#list + 1] = id .. '\\n' .. user
  wanted[r.key] = list
end
for i = 1, #publishes do
  local it = publishes[i]
  if records[it[1]] then
    want(it[1], opened({text = it[4]}).user)
    for _, more in ipairs(it[6]) do want(it[1], more[1]) end
  end
end
for i = 1, #acks do want(acks[i][1], acks[i][4]) end
for key, list in pairs(wanted) do
  chunks(list, 1000, function(...)
    local some = {...}
    for i, value in ipairs(redis.call('HMGET', key, ...)) do states[some[i]] = value or nil end
  end)
end

local changed, waits = {}, {}
local function set(key, field, value)
  local flat = changed[key]
  if not flat then
    flat = {}
    changed[key] = flat
  end
  flat[#flat + 1] = field
  flat[#flat + 1] = value
end
local function wait(deadline, tenant, by)
  local of = waits[deadline]
  if not of then
    of = {}
    waits[deadline] = of
  end
  of[tenant] = (of[tenant] or 0) + by
end
local function track(tenant, deadline)
  tallied(tenant, 1, 1)
  if deadline <= swept then tallied(tenant, 3, 1) else wait(deadline, tenant, 1) end
end
local function stateOf(r, id, user)
  if r.user == user then return r.state end
  return states[id .. '\\n' .. user]
end
local function put(r, id, user, state)
  if r.user == '' or r.user == user then
    r.user, r.state = user, state
  else
    local field = id .. '\\n' .. user
    if not states[field] then weight = weight + 1 end
    states[field] = state
    set(r.key, field, state)
  end
end
local function follow(r, id, tenant, user, deadline)
  if stateOf(opened(r), id, user) then return end
  put(r, id, user, int(deadline))
  track(tenant, deadline)
end
local function addText(text, more) return text == '' and more or (more == '' and text or text .. ',' .. more) end
for i = 1, #publishes do
  local it = publishes[i]
  local id, tenant, r = it[1], it[2], records[it[1]]
  if not r then
    r = {key = segment(head), text = it[4], new = it[3]}
    records[id] = r
    weight = weight + it[7]
    if it[5] > 0 then track(tenant, it[5]) end
  else
    local add = opened({text = it[4]})
    opened(r)
    r.count, r.delivered = r.count + add.count, r.delivered + add.delivered
    if r.listed + add.listed <= LISTED then
      r.texts, r.listed, weight = addText(r.texts, add.texts), r.listed + add.listed, weight + add.listed
    end
    if it[5] > 0 then follow(r, id, tenant, add.user, it[5]) end
  end
  r.dirty = true
  for _, more in ipairs(it[6]) do follow(r, id, tenant, more[1], more[2]) end
end
local unknown = {}
for i = 1, #acks do
  local id, tenant, sequence, user, at = unpack(acks[i])
  local r = records[id]
  local state = r and stateOf(opened(r), id, user)
  if not r or (r.new and sequence < r.new) then
    unknown[#unknown + 1] = i - 1
  elseif state ~= 'a' then
    local deadline = tonumber(state)
    if deadline and at < deadline and deadline > swept then
      wait(deadline, tenant, -1)
      tallied(tenant, 2, 1)
      tallied(tenant, 4, math.max(at - r.occurredAt, 0))
    end
    put(r, id, user, 'a')
    r.acks, r.dirty = r.acks + 1, true
    if r.acks <= LISTED then r.ackTexts = addText(r.ackTexts, '[' .. user .. ',' .. int(at) .. ']') end
  end
end

for id, r in pairs(records) do
  if r.dirty then
    if r.count then
      local numbers = table.concat({int(r.occurredAt), r.count, int(r.delivered), r.listed, r.acks}, ' ')
      r.text = table.concat({numbers, r.head, r.texts, r.ackTexts, r.user == '' and '' or r.state .. ' ' .. r.user}, '\\n')
    end
    set(r.key, id, r.text)
  end
end
for key, flat in pairs(changed) do
  chunks(flat, 2000, function(...) redis.call('HSET', key, ...) end)
  redis.call('PEXPIRE', key, DAY + SEGMENT * 2)
end
local deadlines = {}
for deadline in pairs(waits) do deadlines[#deadlines + 1] = int(deadline) end
chunks(deadlines, 1000, function(...)
  local some, flat = {...}, {}
  for i, packed in ipairs(redis.call('HMGET', awaited, ...)) do
    local of = packed and cmsgpack.unpack(packed) or {}
    for tenant, by in pairs(waits[tonumber(some[i])]) do of[tenant] = (of[tenant] or 0) + by end
    flat[#flat + 1] = some[i]
    flat[#flat + 1] = cmsgpack.pack(of)
  end
  redis.call('HSET', awaited, unpack(flat))
end)
saveTallies()
redis.call('HSET', meta, 'head', head, 'tail', tail, 'weight', weight, 'since', int(since), 'swept', int(swept))
return unknown`,
};

/** ARGV: now, name. Answers the text of the receipt, or nil. */
export const FIND: Script = {
  name: "nexusReceiptsFind",
  lua: `${COMMON}
local place = locate({ARGV[2]})[ARGV[2]]
return place and place[2] or false`,
};

/** ARGV: now, tenant or `*`. Answers tracked, acknowledged, expired and latency as one text, or nil. */
export const TALLY: Script = {
  name: "nexusReceiptsTally",
  lua: `${COMMON}
sweep()
saveTallies()
redis.call('HSET', meta, 'swept', int(swept))
return redis.call('HGET', tally, ARGV[2])`,
};
