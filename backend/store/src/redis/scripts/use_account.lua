-- KEYS: of_account. ARGV: credential, ttl (ms).
-- Returns id, username, name key, the state: '', 'opened' or 'removed', and the recovery hash. Extends the account
-- unless it is only opened or the credential was removed.
local state = ''
if redis.call('HGET', KEYS[2], ARGV[1]) == 'removed' then
  state = 'removed'
elseif redis.call('HEXISTS', KEYS[1], 'opened_by') == 1 then
  state = 'opened'
else
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
end
local found = redis.call('HMGET', KEYS[1], 'id', 'username', 'name_key')
return {found[1], found[2], found[3], state, redis.call('HGET', KEYS[5], 'recovery')}
