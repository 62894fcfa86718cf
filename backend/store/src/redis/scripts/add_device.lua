-- KEYS: of_account. ARGV: device, credential, keys (JSON), most devices, most removed devices, signing key, generation.
-- Stored as "<number> <created> <keys>": the number orders devices added in the same millisecond.
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then return 'removed' end
if redis.call('HGET', KEYS[2], ARGV[2]) == 'removed' then return 'removed' end
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known then
  local place, json = string.match(known, '^(%d+ %d+ )(.*)$')
  local change = 'unchanged'
  if json ~= ARGV[3] then
    local parsed, keys = pcall(cjson.decode, json or '')
    if not parsed or keys.signing_key ~= ARGV[6] then return 'conflict' end
    -- Keys of an earlier version have no generation.
    if tonumber(ARGV[7]) <= (keys.generation or 0) then return 'conflict' end
    redis.call('HSET', KEYS[3], ARGV[1], place .. ARGV[3])
    change = 'replaced'
  end
  link_device(ARGV[2], ARGV[1])
  return change
end
if is_full(ARGV[4], ARGV[5]) then return 'too many' end
local n = redis.call('HINCRBY', KEYS[1], 'devices', 1)
redis.call('HSET', KEYS[3], ARGV[1], n .. ' ' .. now() .. ' ' .. ARGV[3])
redis.call('SREM', KEYS[7], ARGV[1])
link_device(ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[1]), 1))
return 'added'
