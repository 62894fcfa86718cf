-- KEYS: people by expiry, names. Returns account, name, …. Removes expired accounts.
local time = now()
for _, account in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time)) do
  redis.call('HDEL', KEYS[2], account)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time)
local shown = {}
local names = redis.call('HGETALL', KEYS[2])
for _, value in ipairs(names) do shown[#shown + 1] = value end
return shown
