-- Releases a room at shutdown, so that the next owner need not wait for the hold-down.
-- KEYS: room. ARGV: epoch, owner.
local room = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if room[1] == ARGV[1] and room[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'owner', '') end
return 1
