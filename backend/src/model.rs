//! The model endpoint: the configured provider, or the demo model on loopback, started here.

use backend_ai::demo::Demo;
use backend_ai::provider::Endpoint;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::Settings;
use crate::start_error::StartError;

pub(crate) async fn endpoint(
    settings: &Settings,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Endpoint, StartError> {
    if let Some(endpoint) = &settings.model {
        tracing::info!(url = endpoint.url(), "model provider");
        return Ok(endpoint.clone());
    }
    let cannot_listen =
        |error| StartError::Listen { address: "127.0.0.1:0 (the demo model)".into(), error };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let demo = Demo::new(settings.demo.clone());
    let models = demo.models();
    let stop = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        if let Err(error) = demo.serve(listener, stop).await {
            tracing::error!(%error, "demo model failed");
        }
    });
    tracing::info!(%address, "no model provider is configured, using the demo model");
    Ok(Endpoint::Compatible {
        base_url: format!("http://{address}/v1"),
        api_key: None,
        models,
        demo: true,
    })
}
