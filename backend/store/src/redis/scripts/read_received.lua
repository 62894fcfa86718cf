-- KEYS: inbox, counters. ARGV: upto, this account. Reads the newest message of each conversation that others sent
-- between the mark and `upto`. Writes nothing: the mark advances after the receipts are appended. Returns the new mark,
-- then conversation, sender, number, ….
local marks = redis.call('HMGET', KEYS[2], 'head', 'received')
local upto = math.min(tonumber(ARGV[1]), number(marks[1]))
local at = number(marks[2])
local news, place = {string.format('%.0f', upto)}, {}
while at < upto do
  local events = redis.call('XRANGE', KEYS[1], '(' .. string.format('%.0f', at) .. '-0', string.format('%.0f', upto) .. '-0', 'COUNT', 100)
  if #events == 0 then break end
  for _, event in ipairs(events) do
    at = tonumber(string.match(event[1], '^%d+'))
    local conversation, seq, sender = event[2][4], event[2][6], event[2][8]
    if conversation and sender ~= ARGV[2] then
      if not place[conversation] then
        place[conversation] = #news + 1
        news[#news + 1] = conversation
        news[#news + 1] = sender
        news[#news + 1] = seq
      end
      news[place[conversation] + 2] = seq
    end
  end
end
return news
