//! `[[listener]]`.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{ListenAddress, Name};

/// An address to listen on and its protocol.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listener")]
pub(crate) struct ListenerText {
    /// Name for logs and metrics: letters, digits, `.`, `_`, `-`. Required, unique.
    pub(crate) name: Text<Name>,
    /// `[::]:443`, `127.0.0.1:8443`, or `localhost:8443` for both loopback addresses. Port 0 binds
    /// any free port. Required.
    pub(crate) address: Text<ListenAddress>,
    /// Protocol of the listener. Required.
    pub(crate) protocol: ProtocolText,
    /// Only for `http`: what the listener does. Default: `redirect`.
    pub(crate) mode: Option<HttpMode>,
    /// Only for `mode = "redirect"`: the https port to redirect to. Default: the port of the first
    /// https listener.
    pub(crate) https_port: Option<Text<u16>>,
    /// Only for `https`: names of the certificates to offer; the first is used when none matches
    /// the requested server name. Default: all, in the order of the file.
    pub(crate) certificates: Option<Vec<Text<Name>>>,
    /// Only for `https`: PEM file with the authorities of client certificates (mutual TLS).
    /// Upstreams receive the subject of the client certificate as `X-Client-Cert-Subject`. Default:
    /// none, no client certificate is requested.
    pub(crate) client_ca: Option<Text<PathBuf>>,
    /// Only with `client_ca`: whether clients must present a certificate. Default: `required`.
    pub(crate) client_certificates: Option<ClientText>,
    /// Networks of load balancers that begin every connection with a PROXY protocol header (version
    /// 1 or 2). The header is required from these networks and rejected from all others. Default:
    /// none.
    pub(crate) proxy_protocol: Option<Vec<Text<IpNet>>>,
    /// Maximum open connections on this listener. Default: `limits.max_connections`.
    pub(crate) max_connections: Option<Text<u32>>,
}

/// Protocol of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Protocol")]
pub(crate) enum ProtocolText {
    /// TLS with HTTP/1.1 and HTTP/2.
    Https,
    /// Plain HTTP.
    Http,
}

/// Whether clients must present a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ClientCertificates")]
pub(crate) enum ClientText {
    /// The handshake fails without a certificate.
    Required,
    /// A certificate is optional, but an invalid one is rejected.
    Optional,
}

/// What an http listener does.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpMode {
    /// Answer ACME challenges and redirect all other requests to https.
    Redirect,
    /// Serve the routes over plain HTTP: for development, or behind another TLS terminator.
    Plain,
}
