-- Included before scripts for sessions. `prefix` is the prefix of the account's keys.

local function run_key(prefix, run) return prefix .. 'run:' .. run end
local function session_key(prefix, session) return prefix .. 'session:' .. session end

-- The open run of a session, or ''.
local function active_run(prefix, key)
  local run = redis.call('HGET', key, 'active_run')
  if not run then return '' end
  local state = redis.call('HMGET', run_key(prefix, run), 'session', 'closed')
  if state[1] and not state[2] then return run end
  return ''
end

-- A session's fields; nil when it does not exist.
local function show_session(prefix, session)
  local key = session_key(prefix, session)
  local found = redis.call('HMGET', key, 'title', 'model', 'system_prompt', 'created', 'updated')
  if not found[1] then return nil end
  return {session, found[1], found[2] or '', found[3] or '', found[4] or '0', found[5] or '0',
    active_run(prefix, key), tostring(redis.call('LLEN', key .. ':log'))}
end

-- Appends a message, trims the oldest, extends the session.
local function append_message(prefix, session, message, keep, ttl)
  local key = session_key(prefix, session)
  local at = now()
  redis.call('RPUSH', key .. ':log', message)
  redis.call('LTRIM', key .. ':log', -keep, -1)
  redis.call('HSET', key, 'updated', at)
  -- At least 1 ms after the newest, so that two sessions of one millisecond keep their order.
  local newest = redis.call('ZREVRANGE', prefix .. 'sessions', 0, 0, 'WITHSCORES')
  redis.call('ZADD', prefix .. 'sessions', math.max(at, number(newest[2]) + 1), session)
  for _, each in ipairs({key, key .. ':log', key .. ':runs', prefix .. 'sessions'}) do
    redis.call('PEXPIRE', each, ttl)
  end
end
