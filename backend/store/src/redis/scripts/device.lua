-- Included before scripts that use the devices of an account. KEYS are those of `of_account`: KEYS[1] is the account,
-- KEYS[2] its credentials: each is 'removed', or the devices it belongs to as " <device> <device>", KEYS[3] its devices,
-- KEYS[4] its removed devices, KEYS[5] its identity, KEYS[6] its device log, KEYS[7] the devices approved by a link and
-- not registered yet.

local function has_device(devices, device)
  return string.find(devices .. ' ', ' ' .. device .. ' ', 1, true) ~= nil
end

local function link_device(credential, device)
  local devices = redis.call('HGET', KEYS[2], credential) or ''
  if not has_device(devices, device) then redis.call('HSET', KEYS[2], credential, devices .. ' ' .. device) end
  redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[1]), 1))
end

-- True when the account may have no further device.
local function is_full(most, most_removed)
  return redis.call('HLEN', KEYS[3]) >= tonumber(most) or redis.call('SCARD', KEYS[4]) >= tonumber(most_removed)
end
