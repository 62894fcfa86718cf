-- Included before scripts that read a log of messages. A message with a lifetime has a field `x` instead of its body:
-- the body has its own key, `<log>:<position>`, which Redis deletes on time.

-- Puts the body into its entry, in the field `name`. False when the message has expired.
local function complete(log, entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'x' then
      local body = redis.call('GET', log .. ':' .. string.match(entry[1], '^%d+'))
      if not body then return false end
      fields[i], fields[i + 1] = name, body
    end
  end
  return true
end

-- The first `limit` entries of a range that have not expired. `command` is XRANGE or XREVRANGE.
local function read(command, log, from, to, limit, name)
  local found = {}
  while #found < limit do
    local asked = limit - #found
    local entries = redis.call(command, log, from, to, 'COUNT', asked)
    for _, entry in ipairs(entries) do
      from = '(' .. entry[1]
      if complete(log, entry, name) then found[#found + 1] = entry end
    end
    if #entries < asked then break end
  end
  return found
end
