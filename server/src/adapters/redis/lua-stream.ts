// Why: what every script on a stream begins with: who the stream is now. One text, so that all scripts agree on the fields.
// It must never make a stream look whole that may have lost something.

/**
 * Fields of a stream's meta (hash). `e` epoch, `t` top offset, `k` mark, `l` highest offset that left while it could still
 * have been read. `s` highest offset that had a ttl of its own or was removed: from there on, what leaves has to be looked at.
 * `f`, `d`: every entry from offset `f` on has a ttl of its own, and the last of them ends at `d`; 0: the newest has none.
 * `r` until when (milliseconds since 1970, by the publisher's clock) the entries' key lives for certain.
 */
export const META_FIELDS = "'e', 't', 'k', 'l', 'f', 'd'";

/** How long the meta of a stream lives that is looked at and never written to, in milliseconds: 7 days. */
export const IDLE_MS = 604_800_000;

/**
 * KEYS: meta, entries, acknowledged. ARGV[1]: the epoch of a stream that does not exist yet, ARGV[2]: milliseconds since 1970.
 * A stream that is looked at gets its epoch then, and keeps it: who begins at 0 must be able to go on from 0. A Redis that
 * takes no writes (full, or its disk is) cannot keep it: then whoever looked is told later of another epoch.
 */
export const OPEN = `
local h = redis.call('HMGET', KEYS[1], ${META_FIELDS})
local epoch, top, mark = h[1], tonumber(h[2]) or 0, tonumber(h[3]) or 0
if not epoch then
  epoch, top, mark = ARGV[1], 0, 0
  if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then redis.pcall('UNLINK', KEYS[2], KEYS[3]) end
  redis.pcall('HSET', KEYS[1], 'e', epoch, 't', 0)
  redis.pcall('PEXPIRE', KEYS[1], ${IDLE_MS})
elseif redis.call('PTTL', KEYS[1]) < ${IDLE_MS / 2} then
  redis.pcall('PEXPIRE', KEYS[1], ${IDLE_MS})
end
local now = tonumber(ARGV[2])
`;

/** As {@link OPEN}, for calls that have nothing to say of a stream that does not exist: those end with `absent` (Lua). */
export const FIND = (absent: string): string => `
local h = redis.call('HMGET', KEYS[1], 'e', 't', 'k')
if not h[1] then return ${absent} end
local top, mark = tonumber(h[2]) or 0, tonumber(h[3]) or 0
local now = tonumber(ARGV[2])
`;

/** What one call may read before it leaves the rest to the next one, so that no reader keeps Redis for long. */
export const MAX_BYTES = 262_144;
const MAX_ENTRIES = 1024;

/**
 * Entries are a list, because offsets have no holes: the last element has offset `top`. An element is
 * `<expiresAt> <ownExpiresAt>\n<entry>` in milliseconds since 1970 (0: never), or empty where one was removed.
 * `walk(at, step, visit)` calls `visit(offset, expiresAt, ownExpiresAt, text, start)` upwards (1) or downwards (-1) from an
 * offset, without removed ones; the entry begins at `start` of `text`. It goes on until `visit` returns true or the call
 * has read enough. What comes back: true when `visit` ended it, the last offset passed when there are more, nil at the end.
 */
export const WALK = `
local size = redis.call('LLEN', KEYS[2])
if size > top then size = 0 end -- more than were ever published: nobody can say what they are
local first = top - size + 1
local function walk(at, step, visit)
  at = step > 0 and math.max(at, first) or math.min(at, top)
  local bytes, seen, count = 0, 0, 4
  while at >= first and at <= top do
    local last = at + step * (count - 1)
    local found = redis.call('LRANGE', KEYS[2], math.max(math.min(at, last) - first, 0), math.max(at, last) - first)
    for i = 1, #found do
      local text = found[step > 0 and i or #found + 1 - i]
      if text ~= '' then
        local expires, own, start = string.match(text, '^(%d+) (%d+)\\n()')
        if visit(at, tonumber(expires), tonumber(own), text, start) then return true end
        bytes = bytes + #text
      end
      at = at + step
    end
    seen = seen + #found
    if at < first or at > top then return nil end
    if bytes >= ${MAX_BYTES} or seen >= ${MAX_ENTRIES} then return at - step end
    count = math.max(1, math.min(256, math.floor(${MAX_BYTES} * seen / (bytes + 1))))
  end
end
`;
