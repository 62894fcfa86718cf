-- KEYS: link. ARGV: token, credential, 1 to claim it or 0 to check. Returns 'none', 'unapproved', 'claimed before', or
-- 'claimed' or 'open' with account and device.
if not is_party('n', ARGV[1]) then return {'none'} end
local account, device, claimed = unpack(redis.call('HMGET', KEYS[1], 'account', 'device', 'credential'))
if not account or not device then return {'unapproved'} end
if claimed and claimed ~= ARGV[2] then return {'claimed before'} end
if ARGV[3] == '0' then return {'open', account, device} end
redis.call('HSET', KEYS[1], 'credential', ARGV[2])
return {'claimed', account, device}
