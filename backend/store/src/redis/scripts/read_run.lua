-- KEYS: run, log. ARGV: after, limit. Returns session, last position, 1 when closed, and the events.
local state = redis.call('HMGET', KEYS[1], 'session', 'last', 'closed')
if not state[1] then return false end
local events = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
return {state[1], state[2] or '0', state[3] and '1' or '0', events}
