//! Scenarios over whole documents.

mod attachment;
mod checks;
mod commitment;
mod deid;
mod evidence;
mod scan;
mod sd_jwt;
mod sealing;
mod support;
mod vectors;
