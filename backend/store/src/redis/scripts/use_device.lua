-- KEYS: account, credentials, devices. ARGV: device, credential. 1 when the device is registered and the credential
-- was not removed: it belongs to the device from now on.
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) == 'removed' then return 0 end
link_device(ARGV[2], ARGV[1])
return 1
