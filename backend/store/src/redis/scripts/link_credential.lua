-- KEYS: of_account. ARGV: device, credential. Links a credential to a device that may not be registered yet. Returns
-- 'gone', 'removed' or 'linked'.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then return 'removed' end
link_device(ARGV[2], ARGV[1])
return 'linked'
