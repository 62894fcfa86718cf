-- Included before every script. All keys of a script have the hash tag of KEYS[1], so they are in one slot.

-- Milliseconds by the clock of Redis, the same for all nodes.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function number(value)
  return tonumber(value or '0') or 0
end
