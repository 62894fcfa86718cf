-- KEYS: of_account. ARGV: ttl (ms). Extends an account, with everything it has, after its first write.
if redis.call('HDEL', KEYS[1], 'opened_by') == 0 then return 0 end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end
return 1
