-- Version 4. Messages with a lifetime.

-- When the body is erased; NULL when it is kept as long as its row. An erased row has an empty body
-- and no time: it keeps its number, and a repeated delivery finds it.
ALTER TABLE private_messages ADD COLUMN expires INTEGER;
CREATE INDEX private_messages_expire ON private_messages (expires) WHERE expires IS NOT NULL;

ALTER TABLE inbox_events ADD COLUMN expires INTEGER;
CREATE INDEX inbox_events_expire ON inbox_events (expires) WHERE expires IS NOT NULL;
