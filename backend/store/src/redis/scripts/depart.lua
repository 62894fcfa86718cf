-- KEYS: connections. ARGV: connection. Returns 1 for the last connection.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now())
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not latest[1] then return 1 end
redis.call('PEXPIREAT', KEYS[1], latest[2])
return 0
