-- Takes a room for one owner. The newest routing table wins; the epoch fences every earlier owner.
-- KEYS: room, outbox. ARGV: table version, owner, create (1|0), hold-down in ms.
-- Returns {"owned", epoch, state, events in the outbox} | {"missing"} | {"refused", owner, table}
local room = redis.call('HMGET', KEYS[1], 'epoch', 'table', 'owner', 'claimed', 'state')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, wait
if not room[1] then
  if ARGV[3] == '0' then return {'missing'} end
  -- Seconds of the clock, so that a room made anew after a loss never repeats an epoch.
  epoch = time[1]
else
  local mine, stored = tonumber(ARGV[1]), tonumber(room[2])
  if mine < stored then return {'refused', room[3], room[2]} end
  wait = tonumber(room[4]) + tonumber(ARGV[4]) - now
  -- A claim of the future was made before the clock stepped back: it holds nobody off.
  local held = wait > 0 and wait <= tonumber(ARGV[4])
  if mine == stored and room[3] ~= '' and room[3] ~= ARGV[2] and held then
    return {'refused', room[3], room[2]}
  end
  epoch = string.format('%d', tonumber(room[1]) + 1)
end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'table', ARGV[1], 'owner', ARGV[2], 'claimed', string.format('%d', now))
return {'owned', epoch, room[5] or '', redis.call('LLEN', KEYS[2])}
