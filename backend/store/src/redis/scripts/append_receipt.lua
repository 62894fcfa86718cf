-- KEYS: inbox, counters, conversation of this account. ARGV: channel, events kept, ttl, ttl of the counters (ms),
-- event, mark, number. Appends only when the mark advances, so repeated calls append once.
local upto = tonumber(ARGV[7])
if number(redis.call('HGET', KEYS[3], ARGV[6])) >= upto then return 0 end
redis.call('HSET', KEYS[3], ARGV[6], ARGV[7])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
append_event(ARGV[2], ARGV[3], ARGV[4], {'e', ARGV[5]})
redis.call('SPUBLISH', ARGV[1], '')
return 1
