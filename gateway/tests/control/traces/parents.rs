//! `traceparent` and `tracestate` of trusted and untrusted clients.

use super::{RecordingBackend, ask, id};
use crate::support::{Collector, FRONT, TestGateway, attribute, spans_of};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_trusted_traceparent_overrides_sampling_and_keeps_its_tracestate() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let base =
        format!("{FRONT}{}\n[trust]\nforwarded = [\"127.0.0.0/8\", \"::1\"]\n", backend.routes(""));
    let gateway = TestGateway::start(&format!("{base}{}", collector.section(0.0))).await;
    let parent = |flags: &str| format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
    let state = ("tracestate", "vendor=opaque,other=1");

    ask(&gateway, "/api/quick", &[]).await;
    let (flags, sampled) = (backend.last("traceparent").unwrap(), "-01");
    assert!(!flags.ends_with(sampled), "{flags}");
    let (request, _) = ask(
        &gateway,
        "/api/quick",
        &[("traceparent", &parent("01")), state, ("x-request-id", "from-the-proxy")],
    )
    .await;
    let spans = collector.trace(TRACE, 2).await;
    assert_eq!(collector.spans().len(), 2, "the first request must not be traced");
    assert_eq!(id(&spans[0].parent_span_id), "00f067aa0ba902b7");
    assert_eq!(spans[0].flags & 0x300, 0x300, "the parent must be marked as remote");
    assert_eq!(spans[0].trace_state, state.1);
    assert!(
        attribute(&spans[0], "http.request.header.x-request-id")
            .unwrap()
            .contains("from-the-proxy")
    );
    assert_eq!(request, "from-the-proxy");
    assert_eq!(
        backend.last("traceparent"),
        Some(format!("00-{TRACE}-{}-01", id(&spans[1].span_id)))
    );
    assert_eq!(backend.last("tracestate").as_deref(), Some(state.1));

    let (status, report) = gateway.reload(&format!("{base}{}", collector.section(1.0))).await;
    assert_eq!((status, &report["sections"]), (200, &serde_json::json!(["tracing"])), "{report}");
    ask(&gateway, "/api/quick", &[("traceparent", &parent("00")), state]).await;
    assert_eq!(
        backend.last("traceparent"),
        Some(parent("00")),
        "`traceparent` must be forwarded unchanged"
    );
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&request, 2).await;
    assert_eq!(
        spans_of(&collector.spans(), TRACE).len(),
        2,
        "a request whose parent is not sampled must not be traced"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn an_untrusted_traceparent_is_replaced() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), collector.section(0.0)))
            .await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let claims = [("traceparent", parent.as_str()), ("tracestate", "vendor=opaque")];
    let (first, _) = ask(&gateway, "/api/quick", &claims).await;
    let received = backend.last("traceparent").unwrap();
    assert!(
        received.starts_with(&format!("00-{first}-")) && received.ends_with("-00"),
        "{received}"
    );
    assert_eq!(backend.last("tracestate"), None);

    gateway.reload(&format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0))).await;
    let (second, _) = ask(&gateway, "/api/quick", &claims).await;
    assert_eq!(collector.trace(&second, 2).await[0].trace_state, "");
    assert_eq!(
        collector.spans().len(),
        2,
        "the first request must not be traced, nor must the client's trace id be used"
    );
    gateway.stop().await;
}
