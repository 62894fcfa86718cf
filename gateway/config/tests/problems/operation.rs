//! Problems of `[limits]`, `[admin]`, `[tracing]` and `[upgrade]`.

use super::check;

#[test]
fn a_limit_out_of_bounds_is_rejected() {
    check(&[
        (
            "[[route]]",
            "[limits]\nheader_bytes = \"1GiB\"\n[[route]]",
            12,
            "limits.header_bytes: expected 1KiB to 1MiB, found 1GiB",
        ),
        (
            "[[route]]",
            "[limits]\nsend_timeout = \"2h\"\n[[route]]",
            12,
            "expected 10ms to 1h, found 2h",
        ),
        (
            "[[route]]",
            "[limits]\nheld_bytes_per_address = 1000\n[[route]]",
            12,
            "expected 1MiB to ",
        ),
    ]);
}

#[test]
fn an_invalid_admin_address_or_host_is_rejected() {
    check(&[
        (
            "[[route]]",
            "[admin]\naddress = \"localhost\"\n[[route]]",
            12,
            "admin.address: expected an IP address and port",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"127.0.0.1:8443\"\n[[route]]",
            12,
            "a listener already has the address 127.0.0.1:8443: use another port for `[admin]`",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"0.0.0.0:8443\"\n[[route]]",
            12,
            "0.0.0.0:8443 overlaps with the listener address 127.0.0.1:8443",
        ),
        ("[[route]]", "[admin]\naddress = \"[::]:8443\"\n[[route]]", 12, "[::]:8443 overlaps with"),
        (
            "[[route]]",
            "[admin]\naddress = \"127.0.0.1:9090\"\nhosts = [\"gateway:9090\"]\n[[route]]",
            13,
            "admin.hosts: expected a host without port",
        ),
    ]);
}

#[test]
fn invalid_tracing_is_rejected() {
    check(&[
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c\"\n[[route]]",
            12,
            "tracing.endpoint: expected an http or https URL with a path",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://u:p@c/v1/traces\"\n[[route]]",
            12,
            "without a password",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c/v1/traces\"\nsample = 1.5\n[[route]]",
            13,
            "tracing.sample: expected 0 to 1, found 1.5",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c/v1/traces\"\nheaders_env = \"authorization=x\"\n[[route]]",
            13,
            "expected the name of an environment variable",
        ),
    ]);
}

#[test]
fn a_socket_path_that_is_too_long_is_rejected() {
    check(&[(
        "[[route]]",
        concat!(
            "[upgrade]\nsocket = \"/run/",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
            "/0123456789012345678901234567890123456789\"\n[[route]]"
        ),
        12,
        "upgrade.socket: expected a path of at most 100 bytes, found 116",
    )]);
}
