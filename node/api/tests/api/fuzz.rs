//! Whatever is sent, the answer is an answer: never a panic, never a 500, every refusal a problem.

use axum::body::Body;
use proptest::prelude::*;

use crate::double::{Plain, api, request, send};

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "api", "v1", "transactions", "batch", "blocks", "latest", "contracts", "notes", "query", "echo", "state",
            "validators", "members", "evidence", "status", "params", "health", "ready", "metrics", "proof", "1", "00",
            "admin", "backup", "openapi.json", "",
        ]).prop_map(str::to_owned),
        1 => Just("ab".repeat(32)),
        1 => "[ -~]{0,12}".prop_map(|text| {
            text.bytes().map(|byte| format!("%{byte:02x}")).collect()
        }),
        1 => "%[0-9a-fA-F]{2}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let prefix = prop::sample::select(vec!["", "/api/v1", "/api/v1/transactions", "/api/v1/contracts/notes"]);
    let query = prop_oneof![
        3 => Just(String::new()),
        2 => "[?](limit|before|after|wait_ms|proof|claim|index|height|x)=[0-9a-z%-]{0,8}",
    ];
    (prefix, prop::collection::vec(segment(), 0..4), query).prop_map(|(prefix, segments, query)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        let path = format!("{prefix}{path}");
        format!("{}{query}", if path.is_empty() { "/" } else { &path })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_request_has_an_answer(
        method in prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS", "PUT", "BREW"]),
        path in path(),
        media_type in prop::sample::select(vec!["", "application/json", "application/octet-stream", "text/html", "\u{e9}"]),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[{}\\[\\]\":,a-z0-9]{0,60}".prop_map(String::into_bytes),
            Just(br#"{"transactions":["00"]}"#.to_vec()),
        ],
    ) {
        // An event stream has no end to wait for.
        prop_assume!(!path.contains("events"));
        let Ok(request) = request(method, &path).header("content-type", media_type).body(Body::from(body)) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let answer = runtime.block_on(async { send(&api(&Plain::new()), request).await });
        prop_assert!(answer.status.as_u16() < 500, "{method} {path}: {} {:?}", answer.status, answer.body);
        if answer.status.is_client_error() && method != "HEAD" {
            prop_assert_ne!(answer.code(), "internal");
        }
        prop_assert!(answer.headers.contains_key("x-request-id"));
    }
}
