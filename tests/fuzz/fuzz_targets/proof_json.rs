//! Fuzzes `vouch_fuzz::proof_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::proof_json(data));
