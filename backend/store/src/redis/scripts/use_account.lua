-- KEYS: account, devices. ARGV: ttl (ms). Renews the account; its id, username and the key of that.
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end
return redis.call('HMGET', KEYS[1], 'id', 'username', 'name_key')
