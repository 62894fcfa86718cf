-- KEYS: run. Requests a stop. Returns 1 when the run is open.
local state = redis.call('HMGET', KEYS[1], 'session', 'closed')
if not state[1] or state[2] then return 0 end
redis.call('HSET', KEYS[1], 'stop', 1)
return 1
