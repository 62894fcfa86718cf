-- KEYS: link, messages. ARGV: side, token or account, body, name of the call, most messages, most bytes.
-- Returns 'none', 'full' or 'posted'. A call that was appended is not appended again.
if not admits(ARGV[1], ARGV[2]) then return 'none' end
local call = 'call ' .. ARGV[4]
if redis.call('HEXISTS', KEYS[1], call) == 1 then return 'posted' end
local bytes = number(redis.call('HGET', KEYS[1], 'bytes')) + #ARGV[3]
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[5]) or bytes > tonumber(ARGV[6]) then return 'full' end
if ARGV[1] == 'o' then redis.call('HSET', KEYS[1], 'account', ARGV[2]) end
redis.call('HSET', KEYS[1], 'bytes', bytes, call, 1)
redis.call('RPUSH', KEYS[2], ARGV[1] .. ARGV[3])
redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[1]), 1))
return 'posted'
