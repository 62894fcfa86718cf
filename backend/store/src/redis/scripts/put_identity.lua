-- KEYS: of_account. ARGV: identity key, sealed, recovery hash, entry (JSON), identity key to replace or '', ttl (ms).
-- The commit point. Returns 'gone', 'unchanged', 'conflict' or 'stored', and the recovery hash before.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone', ''} end
local known = redis.call('HMGET', KEYS[5], 'key', 'sealed', 'recovery')
local recovery = known[3] or ''
if known[1] == ARGV[1] and known[2] == ARGV[2] and recovery == ARGV[3]
  and redis.call('LINDEX', KEYS[6], 0) == ARGV[4] then
  return {'unchanged', recovery}
end
if (known[1] or '') ~= ARGV[5] then return {'conflict', recovery} end
redis.call('HSET', KEYS[5], 'key', ARGV[1], 'sealed', ARGV[2], 'recovery', ARGV[3])
redis.call('DEL', KEYS[6])
redis.call('RPUSH', KEYS[6], ARGV[4])
for _, key in ipairs({KEYS[5], KEYS[6]}) do redis.call('PEXPIRE', key, ARGV[6]) end
return {'stored', recovery}
