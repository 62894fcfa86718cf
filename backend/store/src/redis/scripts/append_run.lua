-- KEYS: run, log. ARGV: lease (ms), run kept (ms), name of this call, then events. Returns 1 when the run is open.
local state = redis.call('HMGET', KEYS[1], 'session', 'closed', 'last', 'call')
if not state[1] or state[2] then return 0 end
-- A repeated call, after its reply was lost, appends nothing.
if state[4] ~= ARGV[3] then
  local last = number(state[3])
  for i = 4, #ARGV do
    last = last + 1
    redis.call('XADD', KEYS[2], last .. '-0', 'e', ARGV[i])
  end
  redis.call('HSET', KEYS[1], 'last', last, 'call', ARGV[3])
end
redis.call('HSET', KEYS[1], 'lease', now() + ARGV[1])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1] + ARGV[2]) end
return 1
