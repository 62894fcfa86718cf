-- KEYS: session, messages. The messages, or nothing when there is no session.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('LRANGE', KEYS[2], 0, -1)
