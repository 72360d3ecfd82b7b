//! Scenarios over whole documents.

mod attachment;
mod checks;
mod commitment;
mod deid;
mod scan;
mod sealing;
mod support;
