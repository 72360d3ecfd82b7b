//! Scenarios over whole documents.

mod attachment;
mod commitment;
mod sealing;
mod support;
