//! The checked-in description is that of the code, and the code answers what it describes.

use std::path::Path;

use axum::{body::Body, http::StatusCode};

use crate::double::{Plain, api, request, send};

/// Set to write the file instead of comparing it.
const BLESS: &str = "VOUCH_BLESS";

#[test]
fn the_checked_in_description_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let actual = vouch_api::openapi_document().to_pretty_json().expect("serialises") + "\n";
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &actual).expect("writes");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "docs/openapi.json is out of date: run this test with {BLESS}=1 and look at the difference"
    );
}

#[tokio::test]
async fn every_described_operation_has_a_route_and_no_other_method_has() {
    let api = api(&Plain::new());
    let document = serde_json::to_value(vouch_api::openapi_document()).expect("serialises");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 20, "only {} paths", paths.len());
    for (path, item) in paths {
        let real = path.replace("{id}", &"0".repeat(64)).replace("{height}", "1").replace("{key}", "00");
        let real = real.replace("{name}", "notes").replace("{method}", "echo");
        let real = real.replace("{document}", &"0".repeat(32)).replace("{version}", "1");
        let real = real.replace("{slot}", "2").replace("{index}", "0");
        for method in ["get", "post", "put", "delete", "patch"] {
            let request = request(&method.to_uppercase(), &real).body(Body::empty()).expect("request");
            // A stream's body has no end; its head is enough.
            let status = if path.ends_with("/events") && method == "get" {
                StatusCode::OK
            } else {
                send(&api, request).await.status
            };
            let is_described = item.get(method).is_some();
            assert_eq!(status != StatusCode::METHOD_NOT_ALLOWED, is_described, "{method} {path}: {status}");
        }
    }
}
