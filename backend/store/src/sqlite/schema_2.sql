-- Version 2. Unused accounts, removed devices, reserved names, allowances.

-- 1 until the first write: the account expires soon, and reads do not renew it.
ALTER TABLE accounts ADD COLUMN opened_only INTEGER NOT NULL DEFAULT 0;

-- 1 when revoked with a removed device.
ALTER TABLE credentials ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;

-- Credentials bound to a device.
CREATE TABLE device_credentials (
  account TEXT NOT NULL,
  device TEXT NOT NULL,
  hash BLOB NOT NULL REFERENCES credentials (hash) ON DELETE CASCADE,
  PRIMARY KEY (account, device, hash),
  FOREIGN KEY (account, device) REFERENCES devices (account, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX device_credentials_of_hash ON device_credentials (hash);

CREATE TABLE removed_devices (
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  device TEXT NOT NULL,
  PRIMARY KEY (account, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE names_given_up (
  name_key TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX names_of_account ON names_given_up (account);
CREATE INDEX names_expire ON names_given_up (until);

-- The allowance of a client network: until when it is spent. `place` is a pseudonym.
CREATE TABLE allowances (
  place TEXT PRIMARY KEY,
  spent_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX allowances_expire ON allowances (spent_until);

-- The secret of the pseudonyms.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
