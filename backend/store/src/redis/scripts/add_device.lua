-- KEYS: account, devices. ARGV: device, keys (JSON), most devices, ttl (ms).
-- Kept as "<number> <created> <keys>": the number orders devices made in one millisecond.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then
  if string.match(known, '^%d+ %d+ (.*)$') == ARGV[2] then return 'unchanged' end
  return 'conflict'
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'too many' end
local n = redis.call('HINCRBY', KEYS[1], 'devices', 1)
redis.call('HSET', KEYS[2], ARGV[1], n .. ' ' .. now() .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[1]), 1))
return 'added'
