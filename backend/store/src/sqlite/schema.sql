-- Version 1. Times are milliseconds since 1970 (UTC). Values that are never searched are JSON.

CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  username TEXT,
  name_key TEXT UNIQUE,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_expire ON accounts (expires);

CREATE TABLE credentials (
  hash BLOB PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX credentials_of_account ON credentials (account);

CREATE TABLE devices (
  n INTEGER PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  device TEXT NOT NULL,
  keys TEXT NOT NULL,
  created INTEGER NOT NULL,
  UNIQUE (account, device)
) STRICT;

CREATE TABLE sessions (
  account TEXT NOT NULL,
  id TEXT NOT NULL,
  title TEXT NOT NULL,
  model TEXT NOT NULL,
  system_prompt TEXT,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  active_run TEXT,
  expires INTEGER NOT NULL,
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expire ON sessions (expires);

CREATE TABLE messages (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL,
  session TEXT NOT NULL,
  body TEXT NOT NULL,
  FOREIGN KEY (account, session) REFERENCES sessions (account, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX messages_of_session ON messages (account, session, n);

CREATE TABLE runs (
  account TEXT NOT NULL,
  id TEXT NOT NULL,
  session TEXT NOT NULL,
  -- The last event, once the run is closed.
  closed TEXT,
  stop INTEGER NOT NULL DEFAULT 0,
  last INTEGER NOT NULL DEFAULT 0,
  -- While the run is open: the end of its lease; then: the end of its log.
  expires INTEGER NOT NULL,
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_open ON runs (expires) WHERE closed IS NULL;
CREATE INDEX runs_closed ON runs (expires) WHERE closed IS NOT NULL;
CREATE INDEX runs_of_session ON runs (account, session);

CREATE TABLE run_events (
  account TEXT NOT NULL,
  run TEXT NOT NULL,
  n INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (account, run, n),
  FOREIGN KEY (account, run) REFERENCES runs (account, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  account TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash BLOB NOT NULL,
  run TEXT NOT NULL,
  session TEXT NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expire ON idempotency (expires);

-- The counter outlives the messages, so that a number is not reused while clients may store it.
CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  last_seq INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_expire ON conversations (expires);

CREATE TABLE members (
  account TEXT NOT NULL,
  conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  received_upto INTEGER NOT NULL DEFAULT 0,
  read_upto INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_of_conversation ON members (conversation);

CREATE TABLE private_messages (
  n INTEGER PRIMARY KEY,
  conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  sender TEXT NOT NULL,
  cid TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (conversation, seq),
  UNIQUE (conversation, sender, cid)
) STRICT;

CREATE TABLE inboxes (
  account TEXT PRIMARY KEY,
  head INTEGER NOT NULL DEFAULT 0,
  received INTEGER NOT NULL DEFAULT 0,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inboxes_expire ON inboxes (expires);

CREATE TABLE inbox_events (
  n INTEGER PRIMARY KEY,
  account TEXT NOT NULL REFERENCES inboxes (account) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  -- For private messages: the data of a receipt.
  conversation TEXT,
  sender TEXT,
  seq INTEGER,
  body TEXT NOT NULL,
  UNIQUE (account, position)
) STRICT;
