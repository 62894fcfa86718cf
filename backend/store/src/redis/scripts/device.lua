-- Included before scripts that use the credentials of devices. KEYS[1] is the account, KEYS[2] its credentials: each
-- is 'removed', or the devices it belongs to as " <device> <device>".

local function has_device(devices, device)
  return string.find(devices .. ' ', ' ' .. device .. ' ', 1, true) ~= nil
end

local function link_device(credential, device)
  local devices = redis.call('HGET', KEYS[2], credential) or ''
  if not has_device(devices, device) then redis.call('HSET', KEYS[2], credential, devices .. ' ' .. device) end
  redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[1]), 1))
end
