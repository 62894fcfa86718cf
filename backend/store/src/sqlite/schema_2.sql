-- Version 2. Accounts that were only opened, devices that are gone for good, names that are held back.

-- 1 until the first write: such an account expires soon, and reading does not renew it.
ALTER TABLE accounts ADD COLUMN opened_only INTEGER NOT NULL DEFAULT 0;

-- 1 when it belonged to a device that was removed.
ALTER TABLE credentials ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;

-- Which credentials a device was registered or used with.
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

-- Accounts from one place: until when its allowance is spent. The place is a pseudonym.
CREATE TABLE allowances (
  place TEXT PRIMARY KEY,
  spent_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX allowances_expire ON allowances (spent_until);

-- What pseudonyms are made with.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
