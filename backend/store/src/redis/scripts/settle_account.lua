-- KEYS: account. ARGV: ttl (ms). Extends an account after its first write.
if redis.call('HDEL', KEYS[1], 'opened_by') == 0 then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
