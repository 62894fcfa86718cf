//! Problems of `[[certificate]]`; those of `source = "acme"` are in `acme.rs`.

use super::check;

#[test]
fn an_invalid_certificate_is_rejected() {
    check(&[
        (
            "source = \"self-signed\"",
            "source = \"files\"",
            7,
            "certificate: `source = \"files\"` requires `cert` and `key`",
        ),
        (
            "source = \"self-signed\"",
            "source = \"self-signed\"\nkey = \"x\"",
            10,
            "certificate.key: only for `source = \"files\"`",
        ),
    ]);
}
