//! The API in front of a backend that is plain data: every route, every refusal, limits, streams, TLS.

mod documents;
mod double;
mod events;
mod fuzz;
mod limits;
mod openapi;
mod routes;
mod sdk;
mod tls;
