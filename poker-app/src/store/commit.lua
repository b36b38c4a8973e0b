-- Writes a room's state and its history events, if the writer still owns the room.
-- A missing room, or one older than the writer's claim, means that the server lost data: the writer restores it.
-- KEYS: room, outbox. ARGV: epoch, change, table version, owner, state, expiry of an unused room in seconds,
-- limit of the outbox, events…
-- Returns {"stored"} | {"lost", owner, table}
local room = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'table', 'change')
local mine = tonumber(ARGV[1])
local stored = room[1] and tonumber(room[1]) or -1
if stored > mine or (stored == mine and room[2] ~= ARGV[4]) then
  return {'lost', room[2], room[3]}
end
if stored < mine then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'change', ARGV[2], 'table', ARGV[3], 'owner', ARGV[4],
    'claimed', '0', 'state', ARGV[5])
elseif tonumber(room[4] or '0') <= tonumber(ARGV[2]) then
  -- A write over a dropped connection may arrive after its repetition: newer state is kept.
  redis.call('HSET', KEYS[1], 'change', ARGV[2], 'state', ARGV[5])
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
if #ARGV > 7 then
  for i = 8, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[7]), -1)
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
return {'stored'}
