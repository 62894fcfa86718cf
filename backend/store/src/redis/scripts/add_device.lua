-- KEYS: account, credentials, devices, removed devices. ARGV: device, credential, keys (JSON), most devices, most
-- removed devices.
-- Stored as "<number> <created> <keys>": the number orders devices added in the same millisecond.
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then return 'removed' end
if redis.call('HGET', KEYS[2], ARGV[2]) == 'removed' then return 'removed' end
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known then
  if string.match(known, '^%d+ %d+ (.*)$') ~= ARGV[3] then return 'conflict' end
  link_device(ARGV[2], ARGV[1])
  return 'unchanged'
end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[4]) then return 'too many' end
if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[5]) then return 'too many' end
local n = redis.call('HINCRBY', KEYS[1], 'devices', 1)
redis.call('HSET', KEYS[3], ARGV[1], n .. ' ' .. now() .. ' ' .. ARGV[3])
link_device(ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[1]), 1))
return 'added'
