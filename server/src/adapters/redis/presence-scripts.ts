// Why: each change of who is online is one atomic step in Redis, judged by Redis' own time, so that no node's clock counts.
// It must never look into what a session or node says of itself: all it reads is how long a lease lasts and whose it is.
import type { Script } from "./link.ts";

/** A lease is `<until, ms since 1970>|<rest>`. A field without a bar is no lease. */
const LEASES = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function split(value)
  local bar = string.find(value, '|', 1, true)
  if not bar then return nil, '' end
  return tonumber(string.sub(value, 1, bar - 1)) or 0, string.sub(value, bar + 1)
end
local function lasting(ms) return string.format('%.0f', now + ms) end
local function lives(key, ms) redis.call('PEXPIRE', key, string.format('%.0f', ms * 2)) end
`;

/** Sessions of one user: how many live, how many of them elsewhere, which id is the smallest, and whether that one is ours. */
const LOOK = `
local function look(key, mine)
  local live, foreign, first, ours = 0, 0, nil, false
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local lasts, rest = split(all[i + 1])
    if not lasts or lasts <= now then
      redis.call('HDEL', key, all[i])
    else
      local own = string.sub(rest, 1, #mine) == mine
      live = live + 1
      if not own then foreign = foreign + 1 end
      if first == nil or all[i] < first then first = all[i]; ours = own end
    end
  end
  return live, foreign, first, ours
end
`;

/**
 * KEYS: sessions of the user. ARGV: lease ms, how this node's own begin, most sessions, session, what it says.
 * Answers [entered 0|1, sessions elsewhere, whether this node has the first 0|1].
 */
export const ENTER: Script = {
  name: "nexusEnter",
  lua: `${LEASES}${LOOK}
local live, foreign, first, ours = look(KEYS[1], ARGV[2])
if live >= tonumber(ARGV[3]) then return {0, 0, 0} end
redis.call('HSET', KEYS[1], ARGV[4], lasting(ARGV[1]) .. '|' .. ARGV[5])
lives(KEYS[1], ARGV[1])
if first == nil or ARGV[4] < first then ours = true end
return {1, foreign, ours and 1 or 0}
`,
};

/** KEYS: sessions of the user. ARGV: how this node's own begin, session. Answers [sessions elsewhere, whether this node has the first]. */
export const LEAVE: Script = {
  name: "nexusLeave",
  lua: `${LEASES}${LOOK}
redis.call('HDEL', KEYS[1], ARGV[2])
local _, foreign, _, ours = look(KEYS[1], ARGV[1])
return {foreign, ours and 1 or 0}
`,
};

/**
 * A place in the tenant. KEYS: listeners of the broadcast. ARGV: lease ms, node, most sessions, sessions of this node with
 * the new one, what the node says. Answers 1 and writes them, or 0 and writes nothing.
 */
export const TAKE: Script = {
  name: "nexusTake",
  lua: `${LEASES}
local sum = tonumber(ARGV[4])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= ARGV[2] then
    local lasts, rest = split(all[i + 1])
    if lasts and lasts > now then sum = sum + (tonumber(string.match(rest, '^%d+')) or 0) end
  end
end
if sum > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], lasting(ARGV[1]) .. '|' .. ARGV[4] .. '|' .. ARGV[5])
lives(KEYS[1], ARGV[1])
return 1
`,
};

/**
 * Writes and renews. KEYS: sessions of users, then listeners of streams. ARGV: lease ms, node, how this node's own sessions
 * begin, 1 when the hashes of users themselves have to live on (of every third renewal: they live for two leases, set here or
 * with their first session), how many users; per user: how many sessions, per session its id and what it says ('' = as
 * before); per stream: how many sessions of this node (0 = none any more), what the node says, since when there is somebody.
 * A user whose hash holds no more than these sessions is not looked at: nearly all of them, and most of what it costs.
 * Answers per user [sessions that were not known, sessions elsewhere, whether this node has the first], per stream [other
 * nodes, whether this node is the first, since].
 */
export const RENEW: Script = {
  name: "nexusRenew",
  lua: `${LEASES}${LOOK}
local lease, self, mine, long, users = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
local lasts, at, reply = lasting(lease), 5, {}
local function take() at = at + 1; return ARGV[at] end
local function tell(a, b, c) reply[#reply + 1] = a; reply[#reply + 1] = b; reply[#reply + 1] = c end
for i = 1, users do
  local key, sessions, unknown, written = KEYS[i], tonumber(take()), 0, 0
  for _ = 1, sessions do
    local session, says = take(), take()
    if says == '' then
      local value = redis.call('HGET', key, session)
      if value then _, says = split(value) end
    end
    if says == '' then unknown = unknown + 1
    else written = written + redis.call('HSET', key, session, lasts .. '|' .. says) end
  end
  if long or written > 0 then lives(key, lease) end
  if unknown == 0 and redis.call('HLEN', key) == sessions then tell(0, 0, sessions > 0 and 1 or 0)
  else
    local _, foreign, _, ours = look(key, mine)
    tell(unknown, foreign, ours and 1 or 0)
  end
end
for i = users + 1, #KEYS do
  local key, count, says, since = KEYS[i], take(), take(), take()
  local others, first, before = 0, nil, false
  local all = redis.call('HGETALL', key)
  for j = 1, #all, 2 do
    local ends = split(all[j + 1])
    if all[j] == self then before = ends ~= nil and ends > now
    elseif ends and ends <= now then redis.call('HDEL', key, all[j])
    elseif ends then
      others = others + 1
      if first == nil or all[j] < first then first = all[j] end
    end
  end
  if count == '0' then
    if others == 0 then redis.call('DEL', key) else redis.call('HDEL', key, self) end
    tell(others, 0, since)
  else
    if others == 0 and not before then redis.call('HSET', key, '@since', since) else redis.call('HSETNX', key, '@since', since) end
    redis.call('HSET', key, self, lasts .. '|' .. count .. '|' .. says)
    lives(key, lease)
    tell(others, (first == nil or self < first) and 1 or 0, redis.call('HGET', key, '@since'))
  end
end
return reply
`,
};

/** KEYS: sessions of users, then listeners of streams. ARGV: node, how many users, then sessions of these users. Takes them all out at once. */
export const WITHDRAW: Script = {
  name: "nexusWithdraw",
  lua: `
local at = 2
for i = 1, tonumber(ARGV[2]) do
  for _ = 1, tonumber(ARGV[at + 1]) do
    redis.call('HDEL', KEYS[i], ARGV[at + 2])
    at = at + 1
  end
  at = at + 1
end
for i = tonumber(ARGV[2]) + 1, #KEYS do redis.call('HDEL', KEYS[i], ARGV[1]) end
return 1
`,
};

/** KEYS: a hash of leases. ARGV: lease ms, field, what it says. What ran out is removed. */
export const LEASE: Script = {
  name: "nexusLease",
  lua: `${LEASES}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local lasts = split(all[i + 1])
  if not lasts or lasts <= now then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('HSET', KEYS[1], ARGV[2], lasting(ARGV[1]) .. '|' .. ARGV[3])
lives(KEYS[1], ARGV[1])
return 1
`,
};

/** KEYS: a hash of leases. Answers field, rest, field, rest … of those that live. */
export const LIVE: Script = {
  name: "nexusLive",
  lua: `${LEASES}
local all, reply = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local lasts, rest = split(all[i + 1])
  if lasts and lasts > now then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = rest
  end
end
return reply
`,
};

/** KEYS: sessions of users. ARGV: how this node's own begin. Answers how many live elsewhere, per user. */
export const ELSEWHERE: Script = {
  name: "nexusElsewhere",
  lua: `${LEASES}
local reply, mine = {}, ARGV[1]
for i = 1, #KEYS do
  local foreign = 0
  for _, value in ipairs(redis.call('HVALS', KEYS[i])) do
    local lasts, rest = split(value)
    if lasts and lasts > now and string.sub(rest, 1, #mine) ~= mine then foreign = foreign + 1 end
  end
  reply[i] = foreign
end
return reply
`,
};

/** KEYS: listeners of streams. ARGV: node. Answers per stream [sessions on other nodes, since or '']. */
export const LISTENING: Script = {
  name: "nexusListening",
  lua: `${LEASES}
local reply = {}
for i = 1, #KEYS do
  local all, sum, since = redis.call('HGETALL', KEYS[i]), 0, ''
  for j = 1, #all, 2 do
    if all[j] == '@since' then since = all[j + 1]
    elseif all[j] ~= ARGV[1] then
      local lasts, rest = split(all[j + 1])
      if lasts and lasts > now then sum = sum + (tonumber(string.match(rest, '^%d+')) or 0) end
    end
  end
  reply[#reply + 1] = sum
  reply[#reply + 1] = since
end
return reply
`,
};

/** KEYS: channel names of a tenant. ARGV: lease ms, how many names are held, these, then names nobody holds any more. */
export const NAME: Script = {
  name: "nexusName",
  lua: `${LEASES}
local held = tonumber(ARGV[2])
local lasts = lasting(ARGV[1])
for i = 3, 2 + held do redis.call('ZADD', KEYS[1], lasts, ARGV[i]) end
for i = 3 + held, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
lives(KEYS[1], ARGV[1])
return 1
`,
};

/** KEYS: channel names of a tenant. ARGV: `names` or `count`. Answers those that somebody holds, or how many they are. */
export const NAMES: Script = {
  name: "nexusNames",
  lua: `${LEASES}
local from = '(' .. string.format('%.0f', now)
if ARGV[1] == 'count' then return redis.call('ZCOUNT', KEYS[1], from, '+inf') end
return redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf')
`,
};
