-- KEYS: session, sessions. ARGV: prefix, session. Returns the open run, or ''; nil when the session does not exist.
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local active = active_run(ARGV[1], KEYS[1])
for _, run in ipairs(redis.call('SMEMBERS', KEYS[1] .. ':runs')) do
  redis.call('DEL', run_key(ARGV[1], run), run_key(ARGV[1], run) .. ':log')
end
redis.call('DEL', KEYS[1], KEYS[1] .. ':log', KEYS[1] .. ':runs')
return active
