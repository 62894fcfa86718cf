-- KEYS: link. ARGV: account, device, 1 to approve it or 0 to check. Returns 'none', 'unbound', 'other', 'approved', or
-- 'open' when the device may be approved.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'none' end
local account, device = unpack(redis.call('HMGET', KEYS[1], 'account', 'device'))
if not account then return 'unbound' end
if account ~= ARGV[1] then return 'none' end
if device then return device == ARGV[2] and 'approved' or 'other' end
if ARGV[3] == '0' then return 'open' end
redis.call('HSET', KEYS[1], 'device', ARGV[2])
return 'approved'
