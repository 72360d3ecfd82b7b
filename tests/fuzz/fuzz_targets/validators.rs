//! Fuzzes `vouch_fuzz::validators`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::validators(data));
