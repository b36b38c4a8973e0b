-- Claims a room for one owner. The newest routing table wins; the epoch fences every earlier owner.
-- KEYS: room, outbox. ARGV: table version, owner, create (1|0), hold-down in ms, expiry of an unused room in seconds,
-- per cent of the memory above which no room is created.
-- Returns {"owned", epoch, state, events in the outbox} | {"missing"} | {"refused", owner, table} | {"full"}
local function is_full()
  -- An external server may forbid INFO.
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return false end
  local used = tonumber(info:match('used_memory:(%d+)') or '0')
  local limit = tonumber(info:match('maxmemory:(%d+)') or '0')
  return limit > 0 and used * 100 >= limit * tonumber(ARGV[6])
end

local room = redis.call('HMGET', KEYS[1], 'epoch', 'table', 'owner', 'claimed', 'state')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Seconds of the clock, so that a recreated room, or one restored from an older copy of the data, never repeats an epoch.
local epoch = tonumber(time[1])
if not room[1] then
  if ARGV[3] == '0' then return {'missing'} end
  if is_full() then return {'full'} end
else
  local mine, stored = tonumber(ARGV[1]), tonumber(room[2])
  if mine < stored then return {'refused', room[3], room[2]} end
  local wait = tonumber(room[4]) + tonumber(ARGV[4]) - now
  -- A claim in the future was made before the clock stepped back: it does not hold the room down.
  local held = wait > 0 and wait <= tonumber(ARGV[4])
  if mine == stored and room[3] ~= '' and room[3] ~= ARGV[2] and held then
    return {'refused', room[3], room[2]}
  end
  epoch = math.max(epoch, tonumber(room[1]) + 1)
end
epoch = string.format('%d', epoch)
redis.call('HSET', KEYS[1], 'epoch', epoch, 'change', '0', 'table', ARGV[1], 'owner', ARGV[2],
  'claimed', string.format('%d', now))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {'owned', epoch, room[5] or '', redis.call('LLEN', KEYS[2])}
