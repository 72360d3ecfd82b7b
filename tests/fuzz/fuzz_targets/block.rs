//! Fuzzes `vouch_fuzz::block`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::block(data));
