-- KEYS: link. ARGV: token, ttl (ms). Returns 1 when the link has this token.
if redis.call('EXISTS', KEYS[1]) == 1 then return is_party('n', ARGV[1]) and 1 or 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
