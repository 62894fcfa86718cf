-- KEYS: counters. ARGV: upto. Never moves the mark back.
if number(redis.call('HGET', KEYS[1], 'received')) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'received', ARGV[1])
end
return 1
