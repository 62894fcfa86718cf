-- KEYS: run, log. ARGV: prefix, run, last event, answer or '', messages kept, session ttl (ms), run kept (ms),
-- 'over' to close only a run whose lease has expired. Returns 'closed', 'not open', or the end of the lease.
local state = redis.call('HMGET', KEYS[1], 'session', 'closed', 'last', 'lease')
if not state[1] then return 'not open' end
if state[2] then
  -- A repeated call, after its reply was lost.
  if state[2] == ARGV[3] and ARGV[8] ~= 'over' then return 'closed' end
  return 'not open'
end
if ARGV[8] == 'over' and number(state[4]) > now() then return state[4] end
local last = number(state[3]) + 1
redis.call('XADD', KEYS[2], last .. '-0', 'e', ARGV[3])
redis.call('HSET', KEYS[1], 'last', last, 'closed', ARGV[3])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
local key = session_key(ARGV[1], state[1])
if redis.call('EXISTS', key) == 1 then
  if redis.call('HGET', key, 'active_run') == ARGV[2] then redis.call('HDEL', key, 'active_run') end
  if ARGV[4] ~= '' then append_message(ARGV[1], state[1], ARGV[4], ARGV[5], ARGV[6]) end
end
return 'closed'
