-- KEYS: account, names given up. ARGV: username, key, hold (ms), most names given up.
-- Sets the account's name. Returns {'taken', key of the earlier one}, {'too many', ''}, or {'gone', ''}. The previous
-- name stays in 'renamed_from' until the rename events are written.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone', ''} end
local found = redis.call('HMGET', KEYS[1], 'username', 'name_key')
local username, earlier = found[1] or '', found[2] or ''
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now())
if earlier ~= '' and earlier ~= ARGV[2] then
  local held = redis.call('ZCARD', KEYS[2])
  if redis.call('ZSCORE', KEYS[2], ARGV[2]) then held = held - 1 end
  if held >= tonumber(ARGV[4]) then return {'too many', ''} end
  redis.call('ZADD', KEYS[2], now() + ARGV[3], earlier)
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[1], 'username', ARGV[1], 'name_key', ARGV[2])
if username ~= ARGV[1] then redis.call('HSETNX', KEYS[1], 'renamed_from', username) end
return {'taken', earlier}
