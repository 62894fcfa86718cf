-- KEYS: session. ARGV: prefix, session, then fields and values. An empty system prompt deletes the field.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
for i = 3, #ARGV, 2 do
  if ARGV[i] == 'system_prompt' and ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return show_session(ARGV[1], ARGV[2]) or false
