-- KEYS: session. ARGV: prefix, session.
return show_session(ARGV[1], ARGV[2]) or false
