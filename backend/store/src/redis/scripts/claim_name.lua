-- KEYS: name. ARGV: account, reservation (ms). Reserves the name. Returns '', or the holder: an account, or
-- 'held <account>'. A name that is held back for this account stays held until it is taken.
local holder = redis.call('GET', KEYS[1])
if holder == 'held ' .. ARGV[1] then return '' end
if holder and holder ~= ARGV[1] then return holder end
if holder then
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return ''
