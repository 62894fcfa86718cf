-- KEYS: inbox, counters. ARGV: after, limit. Returns the oldest position kept or 0, the newest position, and events,
-- without those that have expired.
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local events = read('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-0', '+', tonumber(ARGV[2]), 'e')
local first = oldest and string.match(oldest[1], '^%d+') or '0'
return {first, redis.call('HGET', KEYS[2], 'head') or '0', events}
