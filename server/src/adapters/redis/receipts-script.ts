// Why: what a receipt is in Redis, and the one script that changes receipts: a whole batch of publishes and ACKs of one
// partition in a handful of commands. It must never be told a payload.
//
// A partition has a ring of segments (hashes); new receipts go to the head, and when it is full or six hours old the next
// one is begun and the oldest let go, which forgets the oldest first without an index.
//   segment   `<tenant>/<id>`          -> numbers (below), head JSON, targets JSON, ACKs JSON: one line each
//             `<tenant>/<id>\n<user>`  -> when the ACK of this user comes too late (ms since 1970), or `a` once it came
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
  for _, whose in ipairs({tenant, '*'}) do
    local of = tallies[whose] or {0, 0, 0, 0}
    of[what] = of[what] + by
    tallies[whose] = of
  end
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
  local names = {}
  for tenant in pairs(tallies) do names[#names + 1] = tenant end
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
 * ARGV: now; most weight of a segment; P; for each publish name, tenant, sequence, occurredAt, head JSON, targets JSON (no
 * brackets), how many are listed, how many there are, deliveredTo, F, and F times user and deadline; then for each ACK name,
 * tenant, sequence, user, at, user as JSON. Answers the indexes (from 0) of ACKs whose notification was not known when they came.
 */
export const TAKE: Script = {
  name: "nexusReceiptsTake",
  lua: `${COMMON}
local maxWeight, at = tonumber(ARGV[2]), 3
local function next() at = at + 1; return ARGV[at - 1] end
local function number() return tonumber(next()) end
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

local publishes, acks, names, seen = {}, {}, {}, {}
local function name(it)
  it.name, it.tenant, it.sequence = next(), next(), tonumber(next())
  if not seen[it.name] then seen[it.name] = true; names[#names + 1] = it.name end
  return it
end
for i = 1, number() do
  local it = name({})
  it.occurredAt, it.head, it.texts, it.listed, it.count, it.delivered = number(), next(), next(), number(), number(), number()
  it.followers = {}
  for f = 1, number() do it.followers[f] = {next(), next()} end
  publishes[i] = it
end
while at <= #ARGV do
  local it = name({})
  it.user, it.at, it.json = next(), number(), next()
  acks[#acks + 1] = it
end

local records = {}
for id, place in pairs(locate(names)) do
  local numbers, headJson, texts, ackTexts = string.match(place[2], '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)$')
  local n = {}
  for one in string.gmatch(numbers, '%S+') do n[#n + 1] = tonumber(one) end
  if n[1] + DAY > now then
    records[id] = {key = place[1], occurredAt = n[1], count = n[2], delivered = n[3], listed = n[4], acks = n[5], head = headJson, texts = texts, ackTexts = ackTexts}
  end
end
-- Followers that may be there already: those of receipts that were known before this batch.
local wanted, follower = {}, {}
local function want(record, id, user)
  if record and not record.new then
    local list = wanted[record.key] or {}
    list[#list + 1] = id .. '\\n' .. user
    wanted[record.key] = list
  end
end
for _, it in ipairs(publishes) do for _, f in ipairs(it.followers) do want(records[it.name], it.name, f[1]) end end
for _, it in ipairs(acks) do want(records[it.name], it.name, it.user) end
for key, list in pairs(wanted) do
  chunks(list, 1000, function(...)
    local some = {...}
    for i, value in ipairs(redis.call('HMGET', key, ...)) do follower[some[i]] = value or nil end
  end)
end

local changed, waits = {}, {}
local function set(key, field, value)
  local fields = changed[key] or {}
  fields[field] = value
  changed[key] = fields
end
local function wait(deadline, tenant, by)
  local of = waits[deadline] or {}
  of[tenant] = (of[tenant] or 0) + by
  waits[deadline] = of
end
local function addText(text, more) return text == '' and more or (more == '' and text or text .. ',' .. more) end
for _, it in ipairs(publishes) do
  local record = records[it.name]
  if not record then
    record = {key = segment(head), occurredAt = it.occurredAt, count = 0, delivered = 0, listed = 0, acks = 0, head = it.head, texts = '', ackTexts = '', new = it.sequence}
    records[it.name] = record
    weight = weight + 1
  end
  record.count, record.delivered, record.dirty = record.count + it.count, record.delivered + it.delivered, true
  if record.listed + it.listed <= LISTED then
    record.texts, record.listed = addText(record.texts, it.texts), record.listed + it.listed
    weight = weight + it.listed
  end
  for _, f in ipairs(it.followers) do
    local field = it.name .. '\\n' .. f[1]
    if not follower[field] then
      follower[field] = f[2]
      set(record.key, field, f[2])
      weight = weight + 1
      tallied(it.tenant, 1, 1)
      if tonumber(f[2]) <= swept then tallied(it.tenant, 3, 1) else wait(f[2], it.tenant, 1) end
    end
  end
end
local unknown = {}
for i, it in ipairs(acks) do
  local record = records[it.name]
  local field = it.name .. '\\n' .. it.user
  if not record or (record.new and it.sequence < record.new) then
    unknown[#unknown + 1] = i - 1
  elseif follower[field] ~= 'a' then
    local deadline = follower[field]
    if deadline and it.at < tonumber(deadline) and tonumber(deadline) > swept then
      wait(deadline, it.tenant, -1)
      tallied(it.tenant, 2, 1)
      tallied(it.tenant, 4, math.max(it.at - record.occurredAt, 0))
    end
    follower[field] = 'a'
    set(record.key, field, 'a')
    record.acks, record.dirty = record.acks + 1, true
    if record.acks <= LISTED then record.ackTexts = addText(record.ackTexts, '[' .. it.json .. ',' .. int(it.at) .. ']') end
  end
end

for id, r in pairs(records) do
  if r.dirty then
    local numbers = table.concat({int(r.occurredAt), r.count, int(r.delivered), r.listed, r.acks}, ' ')
    set(r.key, id, numbers .. '\\n' .. r.head .. '\\n' .. r.texts .. '\\n' .. r.ackTexts)
  end
end
for key, fields in pairs(changed) do
  local flat = {}
  for field, value in pairs(fields) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  chunks(flat, 2000, function(...) redis.call('HSET', key, ...) end)
  redis.call('PEXPIRE', key, DAY + SEGMENT * 2)
end
local deadlines = {}
for deadline in pairs(waits) do deadlines[#deadlines + 1] = deadline end
chunks(deadlines, 1000, function(...)
  local some, flat = {...}, {}
  for i, packed in ipairs(redis.call('HMGET', awaited, ...)) do
    local of = packed and cmsgpack.unpack(packed) or {}
    for tenant, by in pairs(waits[some[i]]) do of[tenant] = (of[tenant] or 0) + by end
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
