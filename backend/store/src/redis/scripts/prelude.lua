-- Goes before every script. All keys a script touches carry the hash tag of KEYS[1], so they are in its slot.

-- Milliseconds by Redis' own clock: one clock for all nodes.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function number(value)
  return tonumber(value or '0') or 0
end
