-- KEYS: allowance of a network address. ARGV: cost (ms), capacity (ms). Counts one request. Returns 0, or how long to
-- wait (ms).
local time = now()
local next = math.max(number(redis.call('GET', KEYS[1])), time) + ARGV[1]
local excess = next - time - ARGV[2]
if excess > 0 then return excess end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', string.format('%.0f', next - time))
return 0
