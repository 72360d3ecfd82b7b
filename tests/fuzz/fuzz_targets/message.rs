//! Fuzzes `vouch_fuzz::message`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::message(data));
