-- KEYS: of_account. ARGV: device, credential. Links the credential to the device. Returns 1 when the device is
-- registered and the credential was not removed.
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) == 'removed' then return 0 end
link_device(ARGV[2], ARGV[1])
return 1
