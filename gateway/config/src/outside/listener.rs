//! `[[listener]]`.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{ListenAddress, Name};

/// Where to listen, and what is spoken there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listener")]
pub(crate) struct ListenerText {
    /// A name for logs and metrics: letters, digits, `.`, `_`, `-`. Required, unique.
    pub(crate) name: Text<Name>,
    /// `[::]:443`, `127.0.0.1:8443`, or `localhost:8443` for both loopback families. Port 0 takes
    /// any free one. Required.
    pub(crate) address: Text<ListenAddress>,
    /// What is spoken. Required.
    pub(crate) protocol: ProtocolText,
    /// What a http listener does. Default: `redirect`. Not for https.
    pub(crate) mode: Option<HttpMode>,
    /// The https port that `redirect` points to. Default: the port of the first https listener.
    pub(crate) https_port: Option<Text<u16>>,
    /// Names of the certificates offered here; the first is used when none fits the name asked for.
    /// Default: all, in the order of the file. Not for http.
    pub(crate) certificates: Option<Vec<Text<Name>>>,
    /// A PEM file with the authorities of client certificates (mutual TLS). The subject of a
    /// client's certificate goes to upstreams as `X-Client-Cert-Subject`. Default: clients are not
    /// asked. Not for http.
    pub(crate) client_ca: Option<Text<PathBuf>>,
    /// Whether clients must show a certificate. Default: `required`. Only with `client_ca`.
    pub(crate) client_certificates: Option<ClientText>,
    /// Networks of load balancers that begin every connection with a PROXY protocol header (version
    /// 1 or 2). From them it is required, from everyone else refused. Default: none.
    pub(crate) proxy_protocol: Option<Vec<Text<IpNet>>>,
    /// Most connections open at once on this listener. Default: `limits.max_connections`.
    pub(crate) max_connections: Option<Text<u32>>,
}

/// What a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Protocol")]
pub(crate) enum ProtocolText {
    /// TLS with HTTP/1.1 and h2.
    Https,
    /// Plain HTTP.
    Http,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ClientCertificates")]
pub(crate) enum ClientText {
    /// Without one the handshake fails.
    Required,
    /// They may; one that does not hold is refused all the same.
    Optional,
}

/// What a http listener does.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpMode {
    /// Serve ACME challenges, redirect everything else to https.
    Redirect,
    /// Serve the routes in plain text: for development, or behind another TLS terminator.
    Plain,
}
