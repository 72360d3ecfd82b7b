//! The description of the interface, made from the handlers themselves.

use std::sync::OnceLock;

use axum::body::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use vouch_types::api::FeedEnd;

use crate::routes::{
    blocks, contracts, document_files, documents, erasures, events, governance, lists, node, persons, registry,
    transactions,
};

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
        documents::account,
        documents::stage,
        documents::read,
        documents::holding,
        document_files::begin_upload,
        document_files::upload,
        document_files::put_piece,
        document_files::finish_upload,
        document_files::end_upload,
        document_files::open,
        document_files::piece,
        documents::audit_of,
        documents::erasure,
        erasures::progress,
        persons::held,
        documents::vault,
        documents::audit,
        documents::check,
        lists::documents,
        lists::document,
        lists::grants,
        lists::provenance,
        lists::transactions,
        lists::relationships,
        lists::disputes,
        lists::search,
        lists::statistics,
        lists::status,
        lists::rebuild,
        lists::operations,
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
        let description = "Together with vouch-key, vouch-node, vouch-time, vouch-nonce and vouch-body; what is signed is in docs/api.md";
        let signed = ApiKey::Header(ApiKeyValue::with_description("vouch-signature", description));
        components.add_security_scheme("account", SecurityScheme::ApiKey(signed));
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
