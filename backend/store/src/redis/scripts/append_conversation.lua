-- KEYS: counter, log, names of messages. ARGV: sender and cid, message, new epoch, messages kept, ttl,
-- ttl of the counter (ms), 1 when the conversation may be new. Idempotent by sender and cid.
-- Returns number, time (ms) and epoch; nil when the conversation would be new and may not be.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch and ARGV[7] ~= '1' then return false end
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known and epoch then
  local seq, at = string.match(known, '^(%d+) (%d+)$')
  return {seq, at, epoch}
end
if not epoch then
  epoch = ARGV[3]
  redis.call('DEL', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local seq = redis.call('HINCRBY', KEYS[1], 'last', 1)
local at = now()
redis.call('XADD', KEYS[2], seq .. '-0', 'k', ARGV[1], 'at', at, 'm', ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], seq .. ' ' .. at)
while redis.call('XLEN', KEYS[2]) > tonumber(ARGV[4]) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  redis.call('HDEL', KEYS[3], oldest[2][2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return {tostring(seq), string.format('%.0f', at), epoch}
