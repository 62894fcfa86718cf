-- KEYS: account. ARGV: id, ttl (ms).
redis.call('HSET', KEYS[1], 'id', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
