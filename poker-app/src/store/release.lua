-- Releases a room that its owner hands off, so that the next owner need not wait for the hold-down.
-- KEYS: room. ARGV: epoch, owner, the newest change that the owner knows to be stored.
-- Returns 1 if that change, or a newer owner, is stored; 0: the server lost it.
local room = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'change')
local mine = tonumber(ARGV[1])
local stored = room[1] and tonumber(room[1]) or -1
if stored < mine or (stored == mine and tonumber(room[3] or '0') < tonumber(ARGV[3])) then return 0 end
if stored == mine and room[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'owner', '') end
return 1
