//! The OpenAPI document, checked against its snapshot.

use crate::api::openapi;

#[test]
fn the_openapi_document_is_the_committed_one() {
    insta::assert_json_snapshot!("openapi", openapi::document());
}
