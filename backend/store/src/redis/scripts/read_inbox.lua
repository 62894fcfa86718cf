-- KEYS: inbox, counters. ARGV: after, limit. Returns the oldest position kept or 0, the newest position, events.
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local events = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
local first = oldest and string.match(oldest[1], '^%d+') or '0'
return {first, redis.call('HGET', KEYS[2], 'head') or '0', events}
