-- Version 3. Identities, device logs, links.

CREATE TABLE identities (
  account TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  identity_key TEXT NOT NULL,
  sealed TEXT NOT NULL,
  -- SHA-256 of the recovery token.
  recovery BLOB NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE log_entries (
  account TEXT NOT NULL REFERENCES identities (account) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;

-- Devices approved by a link and not registered yet.
CREATE TABLE approved_devices (
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  device TEXT NOT NULL,
  PRIMARY KEY (account, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
  code TEXT PRIMARY KEY,
  -- SHA-256 of the new device's token.
  token BLOB NOT NULL,
  -- Bound by its first message.
  account TEXT REFERENCES accounts (id) ON DELETE CASCADE,
  -- The new device, once the account has approved it.
  device TEXT,
  claimed INTEGER NOT NULL DEFAULT 0,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_of_account ON links (account);
CREATE INDEX links_expire ON links (expires);

CREATE TABLE link_messages (
  code TEXT NOT NULL REFERENCES links (code) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  -- 1 when the new device sent it.
  by_new INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (code, n)
) STRICT;

-- A claimed credential belongs to its device before the device is registered, so the device is no
-- longer a foreign key.
CREATE TABLE credentials_of_devices (
  account TEXT NOT NULL,
  device TEXT NOT NULL,
  hash BLOB NOT NULL REFERENCES credentials (hash) ON DELETE CASCADE,
  PRIMARY KEY (account, device, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO credentials_of_devices SELECT account, device, hash FROM device_credentials;
DROP TABLE device_credentials;
ALTER TABLE credentials_of_devices RENAME TO device_credentials;
CREATE INDEX device_credentials_of_hash ON device_credentials (hash);
