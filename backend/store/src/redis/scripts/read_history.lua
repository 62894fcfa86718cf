-- KEYS: session, messages. Returns the messages; nil when the session does not exist.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('LRANGE', KEYS[2], 0, -1)
