-- KEYS: account. ARGV: id, ttl (ms), credential. Creates an account that is only opened. Does not change an existing
-- one.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'opened_by', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
