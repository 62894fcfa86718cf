//! Settings of the model provider: Azure by its endpoint, a compatible server by its base URL,
//! OpenAI by a key alone.

use backend_ai::provider::Endpoint;

use super::args::Args;
use super::error::SettingsError;
use super::secret::{self, given};

const OPENAI: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4o-mini";
const DEFAULT_AZURE_VERSION: &str = "2024-10-21";

/// The provider; `None` means the demo model.
pub(super) fn endpoint(args: &Args) -> Result<Option<Endpoint>, SettingsError> {
    let key = secret::read(
        "OPENAI_API_KEY",
        args.openai_api_key.as_ref(),
        args.openai_api_key_file.as_ref(),
    )?;
    if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return contradiction("OPENAI_API_KEY holds spaces or other invalid characters");
    }
    if let Some(url) = given(args.openai_endpoint.as_ref()) {
        return azure(args, url, key).map(Some);
    }
    if given(args.openai_deployment.as_ref()).is_some()
        || given(args.openai_api_version.as_ref()).is_some()
    {
        return contradiction(
            "OPENAI_DEPLOYMENT and OPENAI_API_VERSION need OPENAI_ENDPOINT (Azure)",
        );
    }
    compatible(args, key)
}

fn azure(args: &Args, endpoint: &str, key: Option<String>) -> Result<Endpoint, SettingsError> {
    if given(args.openai_base_url.as_ref()).is_some() {
        return contradiction(
            "OPENAI_ENDPOINT (Azure) and OPENAI_BASE_URL are both set: remove one",
        );
    }
    if given(args.openai_model.as_ref()).is_some() {
        return contradiction(
            "with OPENAI_ENDPOINT (Azure) the models are OPENAI_DEPLOYMENT: remove OPENAI_MODEL",
        );
    }
    let Some(api_key) = key else {
        return contradiction("OPENAI_ENDPOINT needs OPENAI_API_KEY or OPENAI_API_KEY_FILE");
    };
    let version = given(args.openai_api_version.as_ref()).unwrap_or(DEFAULT_AZURE_VERSION);
    let deployments = given(args.openai_deployment.as_ref()).unwrap_or(DEFAULT_MODEL);
    Ok(Endpoint::Azure {
        endpoint: url("OPENAI_ENDPOINT", endpoint)?,
        api_key,
        api_version: version.to_owned(),
        deployments: list(deployments),
    })
}

/// OpenAI itself, or a server that is compatible with it.
fn compatible(args: &Args, key: Option<String>) -> Result<Option<Endpoint>, SettingsError> {
    let models = given(args.openai_model.as_ref()).map(list);
    match (given(args.openai_base_url.as_ref()), key, models) {
        (Some(base), api_key, Some(models)) => Ok(Some(Endpoint::Compatible {
            base_url: url("OPENAI_BASE_URL", base)?,
            api_key,
            models,
            demo: false,
        })),
        (Some(_), _, None) => {
            contradiction("OPENAI_BASE_URL needs OPENAI_MODEL: the models of that server")
        }
        (None, Some(key), models) => Ok(Some(Endpoint::Compatible {
            base_url: OPENAI.to_owned(),
            api_key: Some(key),
            models: models.unwrap_or_else(|| vec![DEFAULT_MODEL.to_owned()]),
            demo: false,
        })),
        (None, None, Some(_)) => {
            contradiction("OPENAI_MODEL needs OPENAI_API_KEY or OPENAI_BASE_URL")
        }
        (None, None, None) => Ok(None),
    }
}

fn contradiction<T>(text: &str) -> Result<T, SettingsError> {
    Err(SettingsError::Contradiction(text.to_owned()))
}

fn list(text: &str) -> Vec<String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut found: Vec<String> = Vec::new();
    for name in names {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

fn url(name: &'static str, text: &str) -> Result<String, SettingsError> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err(SettingsError::Value {
            name,
            expected: "an https:// or http:// URL",
            found: text.to_owned(),
        }),
    }
}
