//! Fuzzes `vouch_fuzz::evidence`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::evidence(data));
