-- KEYS: account, identity, device log. Returns the identity key and the entries, or nothing.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local key = redis.call('HGET', KEYS[2], 'key')
if not key then return {} end
local found = redis.call('LRANGE', KEYS[3], 0, -1)
table.insert(found, 1, key)
return found
