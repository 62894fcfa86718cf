-- KEYS: inbox, counters, conversation of this account, conversations of this account. ARGV: channel, events kept,
-- ttl, ttl of the counters (ms), conversation, its epoch, 1 when no older messages can be added, then for each
-- message: number, time (ms), sender, event, when it expires (ms) or 0. Appends the new ones in order; one that has
-- expired only counts. A message that expires has its body in its own key (`bodies.lua`).
-- When older ones are missing, appends nothing and returns the number after which, such as '5'; otherwise ''.
local state = redis.call('HMGET', KEYS[3], 'epoch', 'last')
local last = number(state[2])
if state[1] ~= ARGV[6] then
  redis.call('DEL', KEYS[3])
  last = 0
end
if ARGV[7] ~= '1' and tonumber(ARGV[8]) > last + 1 then return tostring(last) end
local appended = false
for i = 8, #ARGV, 5 do
  local seq, body, expires = tonumber(ARGV[i]), ARGV[i + 3], ARGV[i + 4]
  if seq > last then
    local left = tonumber(expires) - now()
    if expires == '0' then
      append_event(ARGV[2], ARGV[3], ARGV[4], {'e', body, 'c', ARGV[5], 's', ARGV[i], 'f', ARGV[i + 2]})
    elseif left > 0 then
      local fields = {'x', expires, 'c', ARGV[5], 's', ARGV[i], 'f', ARGV[i + 2]}
      local position = append_event(ARGV[2], ARGV[3], ARGV[4], fields)
      redis.call('SET', KEYS[1] .. ':' .. position, body, 'PX', math.min(left, tonumber(ARGV[3])))
    end
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
