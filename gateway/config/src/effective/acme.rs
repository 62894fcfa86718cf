//! Writes ACME certificates and their storage.

use super::Writer;
use crate::{Acme, CertificateStorage, Secret};

impl Writer {
    pub(super) fn acme(&mut self, acme: &Acme) {
        let issuer = &acme.issuer;
        self.string("source", "acme");
        self.list("names", &acme.names);
        self.string("directory", issuer.directory.as_str());
        if let Some(fallback) = &issuer.fallback_directory {
            self.string("fallback_directory", fallback.as_str());
        }
        self.list("contact", &issuer.contacts);
        if let Some(profile) = &issuer.profile {
            self.string("profile", profile);
        }
        self.list("challenges", &issuer.challenges);
        if let Some(account) = &issuer.external_account {
            self.string("eab_key_id", &account.key_id);
            self.secret("eab_hmac_key", &account.hmac_key);
        }
        if let Some(path) = &issuer.ca_file {
            self.path("ca_file", path);
        }
        self.path("stand_in_directory", &acme.stand_in_directory);
    }

    pub(super) fn storage(&mut self, storage: &CertificateStorage) {
        self.section("certificate_storage");
        match storage {
            CertificateStorage::Directory(directory) => self.path("directory", directory),
            CertificateStorage::Redis { url, password, ca_file, secret, prefix } => {
                self.secret("redis_url", url);
                if let Some(password) = password {
                    self.secret("redis_password", password);
                }
                if let Some(path) = ca_file {
                    self.path("redis_ca_file", path);
                }
                self.secret("secret", secret);
                self.string("prefix", prefix);
            }
        }
    }

    /// Writes the location of a secret; the secret itself is not read here.
    pub(super) fn secret(&mut self, key: &str, secret: &Secret) {
        match secret {
            Secret::Environment(name) => self.string(&format!("{key}_env"), name),
            Secret::File(path) => self.path(&format!("{key}_file"), path),
        }
    }
}
