//! Fuzzes `vouch_fuzz::proof_bundle`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::proof_bundle(data));
