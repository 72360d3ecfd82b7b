//! The API in front of a backend that is plain data: every route, every refusal, limits, streams, TLS.

mod caller;
mod clients;
mod document_files;
mod documents;
mod double;
mod erasures;
mod events;
mod fuzz;
mod limits;
mod lists;
mod openapi;
mod routes;
mod sdk;
mod tls;
