//! Parsing and validation of settings.

use std::time::Duration;

use backend_ai::provider::Endpoint;
use clap::{CommandFactory, Parser};

use super::{Args, Settings, SettingsError, unknown};

/// Settings from arguments, which clap treats like environment variables. The environment of the
/// tests has none of these variables.
fn settings(args: &[&str]) -> Result<Settings, SettingsError> {
    Args::try_parse_from([&["backend"], args].concat())?.to_settings()
}

fn refusal(args: &[&str]) -> String {
    settings(args).expect_err("the settings are invalid").to_string()
}

#[test]
fn the_arguments_are_consistent_and_documented() {
    let command = Args::command();
    command.clone().debug_assert();
    for argument in command.get_arguments() {
        assert!(argument.get_help().is_some(), "{} has no help", argument.get_id());
    }
}

#[test]
fn the_defaults_use_the_embedded_store_and_the_demo_model() {
    let settings = settings(&[]).unwrap();
    assert!(settings.redis.is_none() && settings.model.is_none());
    assert_eq!(settings.retention.history_messages, 20);
    assert_eq!(settings.retention.session_ttl, Duration::from_secs(24 * 60 * 60));
    assert_eq!(settings.key_rotation, Duration::from_secs(7 * 24 * 60 * 60));
}

#[test]
fn openai_needs_only_its_key() {
    let Some(Endpoint::Compatible { base_url, api_key, models, demo }) =
        settings(&["--openai-api-key", "sk-1"]).unwrap().model
    else {
        panic!("expected OpenAI");
    };
    assert_eq!(base_url, "https://api.openai.com/v1");
    assert_eq!(
        (api_key.as_deref(), models, demo),
        (Some("sk-1"), vec!["gpt-4o-mini".to_owned()], false)
    );
}

#[test]
fn a_compatible_server_needs_its_models_and_no_key() {
    let args = [
        "--openai-base-url",
        "http://localhost:11434/v1",
        "--openai-model",
        "llama3, qwen3,llama3",
    ];
    let Some(Endpoint::Compatible { models, api_key, .. }) = settings(&args).unwrap().model else {
        panic!("expected a compatible server");
    };
    assert_eq!((models, api_key), (vec!["llama3".to_owned(), "qwen3".to_owned()], None));
    assert!(refusal(&["--openai-base-url", "http://localhost/v1"]).contains("OPENAI_MODEL"));
}

#[test]
fn azure_is_its_endpoint_and_deployment() {
    let args = ["--openai-endpoint", "https://x.openai.azure.com/", "--openai-api-key", "k"];
    let Some(Endpoint::Azure { deployments, api_version, .. }) = settings(&args).unwrap().model
    else {
        panic!("expected Azure");
    };
    assert_eq!((deployments, api_version.as_str()), (vec!["gpt-4o-mini".to_owned()], "2024-10-21"));
}

#[test]
fn contradictions_are_rejected_with_a_fix() {
    let invalid: [(&[&str], &str); 10] = [
        (&["--openai-model", "gpt"], "OPENAI_MODEL needs"),
        (&["--openai-deployment", "gpt"], "need OPENAI_ENDPOINT"),
        (&["--openai-endpoint", "https://x"], "OPENAI_ENDPOINT needs"),
        (&["--openai-endpoint", "ftp://x", "--openai-api-key", "k"], "must be an https://"),
        (&["--openai-api-key", "two words"], "OPENAI_API_KEY holds"),
        (&["--redis-url", "redis://a", "--redis-host", "b"], "both set"),
        (&["--redis-port", "1"], "need REDIS_HOST"),
        (&["--redis-url", "http://a"], "must begin with"),
        (&["--redis-wait-replicas", "1"], "need REDIS_HOST"),
        (&["--redis-url", "redis://a", "--redis-wait-replicas", "17"], "0..=16"),
    ];
    for (args, expected) in invalid {
        let refusal = refusal(args);
        assert!(refusal.contains(expected), "{args:?}: {refusal}");
    }
}

#[test]
fn redis_by_host_uses_tls_on_6380_by_default() {
    let url = |args: &[&str]| settings(args).unwrap().redis.expect("Redis is configured").url;
    assert_eq!(url(&["--redis-host", "cache"]), "rediss://cache:6380");
    assert_eq!(
        url(&["--redis-host", "cache", "--redis-port", "6379", "--redis-ssl", "false"]),
        "redis://cache:6379"
    );
    let refusal = refusal(&["--redis-host", "redis", "--redis-port", "tcp://10.0.0.1:6379"]);
    assert!(refusal.contains("enableServiceLinks"), "{refusal}");
}

#[test]
fn a_secret_is_read_from_its_file_without_the_line_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sk-from-file\n").unwrap();
    let path = file.path().to_str().unwrap();
    let Some(Endpoint::Compatible { api_key, .. }) =
        settings(&["--openai-api-key-file", path]).unwrap().model
    else {
        panic!("expected OpenAI");
    };
    assert_eq!(api_key.as_deref(), Some("sk-from-file"));
    assert!(
        refusal(&["--openai-api-key-file", path, "--openai-api-key", "k"]).contains("both set")
    );
    assert!(refusal(&["--openai-api-key-file", "/nowhere"]).contains("/nowhere"));
}

#[test]
fn empty_values_count_as_absent() {
    let settings =
        settings(&["--openai-api-key", "", "--redis-host", "", "--openai-model", " "]).unwrap();
    assert!(settings.model.is_none() && settings.redis.is_none());
}

#[test]
fn times_have_units_and_bounds() {
    let ttl = |text: &str| {
        settings(&["--session-ttl", text]).map(|settings| settings.retention.session_ttl.as_secs())
    };
    assert_eq!(ttl("90").unwrap(), 90);
    assert_eq!(ttl("15m").unwrap(), 900);
    assert_eq!(ttl("7d").unwrap(), 604_800);
    for wrong in ["", "h", "1w", "-1s", "0s", "99999999999999999999d", "9999999d"] {
        assert!(ttl(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn accounts_of_one_address_have_a_burst_and_a_rate() {
    let accounts = |args: &[&str]| settings(args).map(|settings| settings.accounts);
    let default = accounts(&[]).unwrap();
    assert_eq!((default.per_address, default.per_address_hourly), (250, 60));
    let changed =
        accounts(&["--accounts-per-address", "3", "--accounts-per-address-hourly", "5"]).unwrap();
    assert_eq!((changed.per_address, changed.per_address_hourly), (3, 5));
    for wrong in ["0", "-1", "many", "1000001"] {
        assert!(accounts(&["--accounts-per-address", wrong]).is_err(), "{wrong}");
        assert!(accounts(&["--accounts-per-address-hourly", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn misspelt_variables_are_rejected_unless_kubernetes_sets_them() {
    let check = |name: &str| unknown::refuse(std::iter::once(name.to_owned()));
    let refused = check("OPENAI_APIKEY").expect_err("misspelt").to_string();
    assert!(refused.contains("did you mean OPENAI_API_KEY"), "{refused}");
    assert!(check("REDIS_HOSTNAME").is_err());
    for fine in
        ["OPENAI_API_KEY", "PATH", "REDIS_SERVICE_HOST", "REDIS_PORT_6379_TCP", "REDIS_MASTER_PORT"]
    {
        assert!(check(fine).is_ok(), "{fine}");
    }
}
