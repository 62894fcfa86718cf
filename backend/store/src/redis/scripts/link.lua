-- Included before scripts of links. KEYS[1] is the link: token, account once bound, device once approved, credential
-- once claimed, bytes of its messages, and the names of the calls that appended them. KEYS[2] is its messages: each the
-- side, 'n' or 'o', and the body.

-- True for the side 'n' with the token, and for the side 'o' with the bound account.
local function is_party(side, name)
  return redis.call('HGET', KEYS[1], side == 'n' and 'token' or 'account') == name
end

-- Like is_party; also any account while none is bound.
local function admits(side, name)
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  return is_party(side, name) or (side == 'o' and redis.call('HEXISTS', KEYS[1], 'account') == 0)
end
