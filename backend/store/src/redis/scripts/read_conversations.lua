-- KEYS: conversations of this account. ARGV: prefix, ttl (ms). Returns for each: id, last, updated, read, and the
-- peer's two marks.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now() - ARGV[2])
local shown = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. 'conversation:' .. id
  local found = redis.call('HMGET', key, 'last', 'updated', 'read', 'peer_received', 'peer_read')
  if found[1] then
    shown[#shown + 1] = {id, found[1], found[2] or '0', found[3] or '0', found[4] or '0', found[5] or '0'}
  end
end
return shown
