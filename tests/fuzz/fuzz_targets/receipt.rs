//! Fuzzes `vouch_fuzz::receipt`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::receipt(data));
