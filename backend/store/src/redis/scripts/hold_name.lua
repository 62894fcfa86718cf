-- KEYS: name. ARGV: account, ttl (ms). Holds back a name that the account gave up.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'held ' .. ARGV[1], 'PX', ARGV[2])
return 1
