//! Fuzzes `vouch_fuzz::module`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::module(data));
