-- KEYS: link, messages. ARGV: side, token or account, after. Returns nothing, or 'approved' or '', then the messages.
if not admits(ARGV[1], ARGV[2]) then return {} end
local found = redis.call('LRANGE', KEYS[2], ARGV[3], -1)
table.insert(found, 1, redis.call('HEXISTS', KEYS[1], 'device') == 1 and 'approved' or '')
return found
