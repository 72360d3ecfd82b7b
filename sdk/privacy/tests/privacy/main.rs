//! Scenarios over whole documents.

mod attachment;
mod commitment;
mod checks;
mod deid;
mod scan;
mod sealing;
mod support;
