//! Fuzzes `vouch_fuzz::header`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::header(data));
