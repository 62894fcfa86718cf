-- KEYS: people by expiry, names. ARGV: account, name. Renames the account in the lobby. Returns 1 when it is there.
local expiry = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not expiry or tonumber(expiry) <= now() then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
