-- KEYS: of_account. ARGV: version, entry (JSON), most entries, then for an approval by a link: device, 1 when the link
-- has approved it, most devices, most removed devices.
-- The commit point. Returns 'no identity', 'removed', 'too many', 'unchanged', 'conflict', 'full' or 'appended', and the
-- newest version.
local device = ARGV[4]
local newest = redis.call('LLEN', KEYS[6])
if newest == 0 then return {'no identity', 0} end
if device then
  if redis.call('SISMEMBER', KEYS[4], device) == 1 then return {'removed', newest} end
  if ARGV[5] ~= '1' and is_full(ARGV[6], ARGV[7]) then return {'too many', newest} end
end
local version = tonumber(ARGV[1])
local outcome = 'conflict'
if version >= 1 and version <= newest and redis.call('LINDEX', KEYS[6], version - 1) == ARGV[2] then
  outcome = 'unchanged'
elseif version == newest + 1 then
  if newest >= tonumber(ARGV[3]) then return {'full', newest} end
  redis.call('RPUSH', KEYS[6], ARGV[2])
  outcome = 'appended'
end
if device and outcome ~= 'conflict' and redis.call('HEXISTS', KEYS[3], device) == 0 then
  redis.call('SADD', KEYS[7], device)
  redis.call('PEXPIRE', KEYS[7], math.max(redis.call('PTTL', KEYS[6]), 1))
end
return {outcome, newest}
