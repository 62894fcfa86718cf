-- KEYS: connections. ARGV: connection, ttl (ms). Returns 1 for the first connection.
local time = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time)
local before = redis.call('ZCARD', KEYS[1])
redis.call('ZADD', KEYS[1], time + ARGV[2], ARGV[1])
local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], latest[2])
return before == 0 and 1 or 0
