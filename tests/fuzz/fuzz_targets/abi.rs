//! Fuzzes `vouch_fuzz::abi`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::abi(data));
