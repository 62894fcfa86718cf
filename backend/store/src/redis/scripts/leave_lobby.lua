-- KEYS: people by expiry, names, connections of this account. ARGV: account, connection. Returns 1 for the last
-- connection.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now())
if redis.call('ZREM', KEYS[3], ARGV[2]) == 0 then return 0 end
local latest = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if latest then
  redis.call('PEXPIREAT', KEYS[3], latest)
  redis.call('ZADD', KEYS[1], latest, ARGV[1])
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
