-- KEYS: sessions, idempotency key. ARGV: prefix, session, run, message, model, title, lease (ms), run kept (ms),
-- messages kept, session ttl (ms), body hash or ''.
local prefix, session, run = ARGV[1], ARGV[2], ARGV[3]
if ARGV[11] ~= '' then
  local earlier = redis.call('HMGET', KEYS[2], 'body', 'run', 'session')
  if earlier[1] and earlier[1] ~= ARGV[11] then return {'conflict'} end
  if earlier[1] and earlier[2] ~= run then return {'existing', earlier[2], earlier[3]} end
end
local key = session_key(prefix, session)
local active = active_run(prefix, key)
if active ~= '' and active ~= run then return {'active', active} end
-- The same run is a repeated call, after its reply was lost.
if active == '' then
  if redis.call('EXISTS', key) == 0 then
    redis.call('DEL', key .. ':log', key .. ':runs')
    redis.call('HSET', key, 'title', ARGV[6], 'created', now())
  end
  redis.call('HSET', key, 'model', ARGV[5], 'active_run', run)
  redis.call('SADD', key .. ':runs', run)
  if redis.call('SCARD', key .. ':runs') > 64 then
    for _, each in ipairs(redis.call('SMEMBERS', key .. ':runs')) do
      if each ~= run and redis.call('EXISTS', run_key(prefix, each)) == 0 then redis.call('SREM', key .. ':runs', each) end
    end
  end
  append_message(prefix, session, ARGV[4], ARGV[9], ARGV[10])
  redis.call('HSET', run_key(prefix, run), 'session', session, 'last', 0, 'lease', now() + ARGV[7])
  redis.call('PEXPIRE', run_key(prefix, run), ARGV[7] + ARGV[8])
  if ARGV[11] ~= '' then
    redis.call('HSET', KEYS[2], 'body', ARGV[11], 'run', run, 'session', session)
    redis.call('PEXPIRE', KEYS[2], ARGV[10])
  end
end
return {'new', show_session(prefix, session), redis.call('LRANGE', key .. ':log', 0, -1)}
