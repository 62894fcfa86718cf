//! A TOML value parsed together with its position, so that an invalid value is reported where it is
//! and does not hide other problems.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A value and its position, or the reason it is invalid.
#[derive(Clone, Debug)]
pub(crate) struct Text<T> {
    pub(crate) span: Range<usize>,
    pub(crate) parsed: Result<T, String>,
}

/// A type that is parsed from a TOML string or number.
pub(crate) trait Value: Sized {
    /// The JSON Schema types: `"string"`, `"integer"`, `"number"`, or several.
    fn types() -> &'static [&'static str] {
        &["string"]
    }

    /// Parses a string or the digits of a number. An error says what was expected.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Types whose `FromStr` returns a message for people.
macro_rules! parse_by_from_str {
    ($($type:ty),*) => {
        $(impl Value for $type {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse()
            }
        })*
    };
}

parse_by_from_str!(
    crate::Name,
    crate::ListenAddress,
    crate::ServerName,
    crate::HostPattern,
    crate::Target
);
parse_by_from_str!(crate::DirectoryUrl, crate::AcmeChallenge, crate::CollectorUrl);

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("expected a path".to_owned());
        }
        Ok(text.into())
    }
}

impl Value for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            "expected an IP address and port, such as `127.0.0.1:9090` or `[::1]:9090`".to_owned()
        })
    }
}

impl Value for IpNet {
    fn parse(text: &str) -> Result<Self, String> {
        let one = text.parse::<std::net::IpAddr>().map(IpNet::from);
        one.or_else(|_| text.parse())
            .map_err(|_| "expected a network such as `10.0.0.0/8` or `2001:db8::/32`".to_owned())
    }
}

impl Value for http::Method {
    fn parse(text: &str) -> Result<Self, String> {
        const METHODS: [http::Method; 7] = [
            http::Method::GET,
            http::Method::HEAD,
            http::Method::POST,
            http::Method::PUT,
            http::Method::PATCH,
            http::Method::DELETE,
            http::Method::OPTIONS,
        ];
        let found = METHODS.into_iter().find(|method| method.as_str() == text);
        found.ok_or_else(|| {
            "expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS in upper case".to_owned()
        })
    }
}

impl Value for http::StatusCode {
    fn types() -> &'static [&'static str] {
        &["integer"]
    }

    fn parse(text: &str) -> Result<Self, String> {
        let code = text.parse::<u16>().ok().filter(|code| (200..600).contains(code));
        code.and_then(|code| Self::from_u16(code).ok())
            .ok_or_else(|| "expected a status code from 200 to 599".to_owned())
    }
}

impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        crate::units::duration(text)
    }
}

impl Value for u64 {
    fn types() -> &'static [&'static str] {
        &["string", "integer"]
    }

    fn parse(text: &str) -> Result<Self, String> {
        crate::units::bytes(text)
    }
}

impl Value for u32 {
    fn types() -> &'static [&'static str] {
        &["integer"]
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected a whole number from 0 to {}", Self::MAX))
    }
}

impl Value for u16 {
    fn types() -> &'static [&'static str] {
        &["integer"]
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected a whole number from 0 to {}", Self::MAX))
    }
}

impl Value for f64 {
    fn types() -> &'static [&'static str] {
        &["number"]
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number: &Self| number.is_finite());
        number.ok_or_else(|| "expected a number".to_owned())
    }
}

impl<'de, T: Value> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<Parsed<T>>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), parsed: spanned.into_inner().0 })
    }
}

impl<T: Value> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::types().join("Or").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match T::types() {
            [one] => json_schema!({ "type": one }),
            several => json_schema!({ "type": several }),
        }
    }
}

/// What was expected, with the text that was found.
pub(crate) fn found(expected: &str, text: &str) -> String {
    format!("{expected}, found {text:?}")
}

struct Parsed<T>(Result<T, String>);

impl<'de, T: Value> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData))
    }
}

struct Scalar<T>(PhantomData<T>);

impl<T: Value> Scalar<T> {
    fn number<E>(digits: &str) -> Result<Parsed<T>, E> {
        if T::types() == ["string"] {
            return Ok(Parsed(Err(format!(
                "expected a string in quotes, found the number {digits}"
            ))));
        }
        Ok(Parsed(T::parse(digits).map_err(|reason| format!("{reason}, found {digits}"))))
    }
}

impl<T: Value> de::Visitor<'_> for Scalar<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&kinds::<T>())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        if !T::types().contains(&"string") {
            return Ok(Parsed(Err(format!(
                "expected {} without quotes, found the string {text:?}",
                kinds::<T>()
            ))));
        }
        Ok(Parsed(T::parse(text).map_err(|reason| found(&reason, text))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Self::number(&number.to_string())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Self::number(&number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Self::number(&number.to_string())
    }
}

/// The types of a value, for messages.
fn kinds<T: Value>() -> String {
    let kinds: Vec<_> = T::types()
        .iter()
        .map(|kind| format!("{} {kind}", if *kind == "integer" { "an" } else { "a" }))
        .collect();
    kinds.join(" or ")
}
