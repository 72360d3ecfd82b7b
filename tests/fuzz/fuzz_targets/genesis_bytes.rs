//! Fuzzes `vouch_fuzz::genesis_bytes`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::genesis_bytes(data));
