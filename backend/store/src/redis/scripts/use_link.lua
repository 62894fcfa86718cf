-- KEYS: link. ARGV: side, token or account. Returns 1 when it is a party of the link.
return is_party(ARGV[1], ARGV[2]) and 1 or 0
