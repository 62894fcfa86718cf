-- KEYS: name. ARGV: account, reservation (ms). Reserves the name; 1, or the account that has it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
if holder then
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return ''
