-- KEYS: inbox, counters, conversation of this account, conversations of this account. ARGV: channel, events kept,
-- ttl, ttl of the counters (ms), conversation, its epoch, 1 when no older messages can be added, then for each
-- message: number, time (ms), sender, event. Appends the new ones in order.
-- When older ones are missing, appends nothing and returns the number after which, such as '5'; otherwise ''.
local state = redis.call('HMGET', KEYS[3], 'epoch', 'last')
local last = number(state[2])
if state[1] ~= ARGV[6] then
  redis.call('DEL', KEYS[3])
  last = 0
end
if ARGV[7] ~= '1' and tonumber(ARGV[8]) > last + 1 then return tostring(last) end
local appended = false
for i = 8, #ARGV, 4 do
  local seq = tonumber(ARGV[i])
  if seq > last then
    append_event(ARGV[2], ARGV[3], ARGV[4], {'e', ARGV[i + 3], 'c', ARGV[5], 's', ARGV[i], 'f', ARGV[i + 2]})
    redis.call('HSET', KEYS[3], 'epoch', ARGV[6], 'last', ARGV[i], 'updated', ARGV[i + 1])
    redis.call('ZADD', KEYS[4], ARGV[i + 1], ARGV[5])
    last = seq
    appended = true
  end
end
if appended then
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[3])
  redis.call('SPUBLISH', ARGV[1], '')
end
return ''
