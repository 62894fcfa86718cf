-- KEYS: account. ARGV: id, ttl (ms), credential. Makes an account that was only opened; changes none that is there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'opened_by', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
