-- KEYS: sessions. ARGV: prefix. Returns all sessions, latest first. Removes expired ones.
local shown = {}
for _, session in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local found = show_session(ARGV[1], session)
  if found then shown[#shown + 1] = found else redis.call('ZREM', KEYS[1], session) end
end
return shown
