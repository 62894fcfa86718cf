-- KEYS: people by expiry, names, connections of this account. ARGV: account, name, connection, ttl (ms).
-- Returns 1 when the account was not in the lobby.
local time = now()
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', time)
local before = redis.call('ZCARD', KEYS[3])
redis.call('ZADD', KEYS[3], time + ARGV[4], ARGV[3])
local latest = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[3], latest)
redis.call('ZADD', KEYS[1], latest, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], last)
redis.call('PEXPIREAT', KEYS[2], last)
return before == 0 and 1 or 0
