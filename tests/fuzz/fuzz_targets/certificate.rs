//! Fuzzes `vouch_fuzz::certificate`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::certificate(data));
