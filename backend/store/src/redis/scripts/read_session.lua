-- KEYS: session. ARGV: prefix, session. Returns its fields; nil when it does not exist.
return show_session(ARGV[1], ARGV[2]) or false
