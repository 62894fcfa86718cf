-- KEYS: account. ARGV: username, key. Gives the account its name; the key of the earlier one, nothing when it is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local earlier = redis.call('HGET', KEYS[1], 'name_key') or ''
redis.call('HSET', KEYS[1], 'username', ARGV[1], 'name_key', ARGV[2])
return earlier
