-- Included before scripts that append to an inbox. KEYS[1] is its stream, KEYS[2] its counters.

-- Appends an event with further fields. Returns its position. The body of a trimmed message may have its own key.
local function append_event(keep, ttl, counter_ttl, fields)
  local head = redis.call('HINCRBY', KEYS[2], 'head', 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', keep, head .. '-0', unpack(fields))
  redis.call('DEL', KEYS[1] .. ':' .. (head - keep))
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], counter_ttl)
  return head
end
