-- KEYS: inbox, counters. ARGV: channel, events kept, ttl, ttl of the counters (ms), event.
local head = append_event(ARGV[2], ARGV[3], ARGV[4], {'e', ARGV[5]})
redis.call('SPUBLISH', ARGV[1], '')
return head
