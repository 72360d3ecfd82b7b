//! Scenarios over whole documents.

mod commitment;
mod sealing;
mod support;
