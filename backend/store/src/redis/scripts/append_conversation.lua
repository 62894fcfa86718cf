-- KEYS: counter, log, names of messages. ARGV: sender and cid, message, new epoch, messages kept, ttl,
-- ttl of the counter (ms), 1 when the conversation may be new, lifetime (s) or 0. Idempotent by sender and cid.
-- Returns number, time (ms), epoch, lifetime and, when it was appended before, the message that is stored or '' when
-- that has expired; nil when the conversation would be new and may not be.
-- A message with a lifetime has its body in its own key (`bodies.lua`).
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch and ARGV[7] ~= '1' then return false end
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known and epoch then
  local seq, at, lifetime = string.match(known, '^(%d+) (%d+) ?(%d*)$')
  local entry = read('XRANGE', KEYS[2], seq .. '-0', seq .. '-0', 1, 'm')[1]
  return {seq, at, epoch, number(lifetime), entry and entry[2][6] or ''}
end
if not epoch then
  epoch = ARGV[3]
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local seq = redis.call('HINCRBY', KEYS[1], 'last', 1)
local at = now()
local lifetime = tonumber(ARGV[8])
if lifetime == 0 then
  redis.call('XADD', KEYS[2], seq .. '-0', 'k', ARGV[1], 'at', at, 'm', ARGV[2])
  redis.call('HSET', KEYS[3], ARGV[1], seq .. ' ' .. at)
else
  redis.call('XADD', KEYS[2], seq .. '-0', 'k', ARGV[1], 'at', at, 'x', at + lifetime * 1000)
  redis.call('SET', KEYS[2] .. ':' .. seq, ARGV[2], 'PX', math.min(lifetime * 1000, tonumber(ARGV[5])))
  redis.call('HSET', KEYS[3], ARGV[1], seq .. ' ' .. at .. ' ' .. lifetime)
end
while redis.call('XLEN', KEYS[2]) > tonumber(ARGV[4]) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  redis.call('DEL', KEYS[2] .. ':' .. string.match(oldest[1], '^%d+'))
  redis.call('HDEL', KEYS[3], oldest[2][2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return {tostring(seq), string.format('%.0f', at), epoch, lifetime, ''}
