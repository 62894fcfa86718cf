-- KEYS: name. ARGV: account, ttl (ms), '1' when the name may be held back for the account. Extends the name of an
-- account, and completes an interrupted claim.
local holder = redis.call('GET', KEYS[1])
local back = ARGV[3] == '1' and holder == 'held ' .. ARGV[1]
if holder and holder ~= ARGV[1] and not back then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
