-- KEYS: log. ARGV: newest and oldest id of the range, limit. Returns at most `limit` messages, newest first, without
-- those that have expired.
return read('XREVRANGE', KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), 'm')
