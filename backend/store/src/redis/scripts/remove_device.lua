-- KEYS: of_account. ARGV: device, credential of the caller, ttl (ms).
-- The commit point. Returns 'refused', 'none', 'removed' or 'replaced', then the credentials that belonged to it.
local mine = redis.call('HGET', KEYS[2], ARGV[2]) or ''
if mine == 'removed' then return {'refused'} end
local registered = redis.call('HDEL', KEYS[3], ARGV[1])
local approved = redis.call('SREM', KEYS[7], ARGV[1])
if registered + approved == 0 then return {'none'} end
redis.call('SADD', KEYS[4], ARGV[1])
local outcome = {'removed'}
if has_device(mine, ARGV[1]) and mine ~= ' ' .. ARGV[1] then outcome[1] = 'replaced' end
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  if has_device(all[at + 1], ARGV[1]) then
    redis.call('HSET', KEYS[2], all[at], 'removed')
    outcome[#outcome + 1] = all[at]
  end
end
for _, key in ipairs({KEYS[2], KEYS[4]}) do redis.call('PEXPIRE', key, ARGV[3]) end
return outcome
