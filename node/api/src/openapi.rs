//! The description of the interface, made from the handlers themselves.

use std::sync::OnceLock;

use axum::body::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use vouch_types::api::FeedEnd;

use crate::routes::{blocks, contracts, events, governance, node, registry, transactions};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vouch node",
        description = "Interface of a Vouch node. Errors are application/problem+json with stable codes. \
            Submitting a transaction is idempotent: its id is the hash of its body.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        transactions::submit,
        transactions::submit_batch,
        transactions::show,
        transactions::proof,
        blocks::list,
        blocks::show,
        blocks::transactions,
        contracts::list,
        contracts::show,
        contracts::query,
        contracts::state,
        registry::validators,
        registry::members,
        registry::evidence,
        governance::proposals,
        governance::proposal,
        governance::dry_run,
        governance::accounts,
        governance::certificates,
        governance::packages,
        events::follow,
        node::status,
        node::params,
        node::health,
        node::ready,
        node::metrics,
        node::backup,
        node::openapi,
    ),
    components(schemas(FeedEnd)),
    modifiers(&AdminScheme),
)]
struct Document;

struct AdminScheme;

impl Modify for AdminScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("admin", SecurityScheme::Http(scheme));
    }
}

/// The `OpenAPI` 3.1 document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The same as it is sent; made once.
pub(crate) fn document_json() -> Bytes {
    static JSON: OnceLock<Bytes> = OnceLock::new();
    JSON.get_or_init(|| serde_json::to_vec(&document()).unwrap_or_default().into()).clone()
}
