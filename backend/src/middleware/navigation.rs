//! The response to a navigation sets no cookie.
//!
//! A link on another site opens a page here without the visitor's cookie (`SameSite=Strict`, RFC
//! 6265bis section 5.2). A cookie in the response would replace the one that the browser withheld.

use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use super::same_origin::is_navigation;

pub(super) async fn withhold_cookies(request: Request, next: Next) -> Response {
    let navigation = is_navigation(request.headers());
    let mut response = next.run(request).await;
    if navigation {
        response.headers_mut().remove(header::SET_COOKIE);
    }
    response
}
