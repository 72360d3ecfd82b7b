//! The only place that touches the host: its functions in a contract, the test kit in a test.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::kit::sys::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "calls into the host; each passes places of live Rust values and nothing else")]
mod wasm {
    use alloc::{vec, vec::Vec};

    use crate::codec::{Account, Hash, Key, Signature};

    mod import {
        #[link(wasm_import_module = "vouch")]
        unsafe extern "C" {
            pub fn input(at: *mut u8);
            pub fn output(data: *const u8, bytes: usize);
            pub fn fail(code: *const u8, code_bytes: usize, message: *const u8, message_bytes: usize) -> !;
            pub fn refuse(message: *const u8, bytes: usize) -> !;
            pub fn abort(message: *const u8, bytes: usize) -> !;
            pub fn get(key: *const u8, key_bytes: usize, buffer: *mut u8, capacity: usize) -> i64;
            pub fn put(key: *const u8, key_bytes: usize, value: *const u8, value_bytes: usize);
            pub fn delete(key: *const u8, bytes: usize);
            pub fn scan(
                prefix: *const u8,
                prefix_bytes: usize,
                after: *const u8,
                after_bytes: usize,
                limit: u32,
                buffer: *mut u8,
                capacity: usize,
            ) -> i64;
            pub fn event(name: *const u8, name_bytes: usize, data: *const u8, data_bytes: usize);
            pub fn call(
                contract: *const u8,
                contract_bytes: usize,
                method: *const u8,
                method_bytes: usize,
                arguments: *const u8,
                arguments_bytes: usize,
                fuel: u64,
                buffer: *mut u8,
                capacity: usize,
            ) -> i64;
            pub fn membership(account: *const u8, buffer: *mut u8, capacity: usize) -> i64;
            pub fn member(name: *const u8, bytes: usize, buffer: *mut u8, capacity: usize) -> i64;
            pub fn account_roles(account: *const u8, buffer: *mut u8, capacity: usize) -> i64;
            pub fn hash(tag: *const u8, tag_bytes: usize, data: *const u8, data_bytes: usize, out: *mut u8);
            pub fn verify(key: *const u8, message: *const u8, message_bytes: usize, signature: *const u8) -> u32;
            pub fn pending(at: *mut u8);
        }
    }

    /// Room for most answers; larger ones are fetched with a second call.
    const BUFFER_BYTES: usize = 256;

    /// Asks for bytes: `ask` gets a buffer and says how many there are, or less than zero for none.
    fn answer(ask: impl FnOnce(*mut u8, usize) -> i64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let length = usize::try_from(ask(buffer.as_mut_ptr(), buffer.len())).ok()?;
        if length > buffer.len() {
            buffer = vec![0; length];
            // SAFETY: the host writes exactly the number of bytes it announced, which is the buffer's length.
            unsafe { import::pending(buffer.as_mut_ptr()) };
        }
        buffer.truncate(length);
        Some(buffer)
    }

    pub(crate) fn input(bytes: u32) -> Vec<u8> {
        let mut buffer = vec![0; bytes as usize];
        // SAFETY: the host writes as many bytes as it passed to the entry function, which is the buffer's length.
        unsafe { import::input(buffer.as_mut_ptr()) };
        buffer
    }

    pub(crate) fn output(data: &[u8]) {
        // SAFETY: place and length of a live slice, only read.
        unsafe { import::output(data.as_ptr(), data.len()) }
    }

    pub(crate) fn fail(code: &str, message: &str) -> ! {
        // SAFETY: places and lengths of live texts, only read.
        unsafe { import::fail(code.as_ptr(), code.len(), message.as_ptr(), message.len()) }
    }

    pub(crate) fn refuse(message: &str) -> ! {
        // SAFETY: place and length of a live text, only read.
        unsafe { import::refuse(message.as_ptr(), message.len()) }
    }

    pub(crate) fn abort(message: &str) -> ! {
        // SAFETY: place and length of a live text, only read.
        unsafe { import::abort(message.as_ptr(), message.len()) }
    }

    pub(crate) fn get(key: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: a live slice to read, and a buffer with its capacity to write.
        answer(|buffer, capacity| unsafe { import::get(key.as_ptr(), key.len(), buffer, capacity) })
    }

    pub(crate) fn put(key: &[u8], value: &[u8]) {
        // SAFETY: places and lengths of live slices, only read.
        unsafe { import::put(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
    }

    pub(crate) fn delete(key: &[u8]) {
        // SAFETY: place and length of a live slice, only read.
        unsafe { import::delete(key.as_ptr(), key.len()) }
    }

    pub(crate) fn scan(prefix: &[u8], after: &[u8], limit: u32) -> Vec<u8> {
        // SAFETY: live slices to read, and a buffer with its capacity to write.
        let ask = |buffer, capacity| unsafe {
            import::scan(prefix.as_ptr(), prefix.len(), after.as_ptr(), after.len(), limit, buffer, capacity)
        };
        answer(ask).unwrap_or_default()
    }

    pub(crate) fn event(name: &str, data: &[u8]) {
        // SAFETY: places and lengths of live slices, only read.
        unsafe { import::event(name.as_ptr(), name.len(), data.as_ptr(), data.len()) }
    }

    pub(crate) fn call(contract: &str, method: &str, arguments: &[u8], fuel: u64) -> Vec<u8> {
        let (c, m, a) = (contract, method, arguments);
        // SAFETY: live slices to read, and a buffer with its capacity to write.
        let ask = |buffer, capacity| unsafe {
            import::call(c.as_ptr(), c.len(), m.as_ptr(), m.len(), a.as_ptr(), a.len(), fuel, buffer, capacity)
        };
        answer(ask).unwrap_or_default()
    }

    pub(crate) fn membership(account: &Account) -> Option<Vec<u8>> {
        // SAFETY: 32 live bytes to read, and a buffer with its capacity to write.
        answer(|buffer, capacity| unsafe { import::membership(account.0.as_ptr(), buffer, capacity) })
    }

    pub(crate) fn member(name: &str) -> Option<Vec<u8>> {
        // SAFETY: a live text to read, and a buffer with its capacity to write.
        answer(|buffer, capacity| unsafe { import::member(name.as_ptr(), name.len(), buffer, capacity) })
    }

    pub(crate) fn account_roles(account: &Account) -> Vec<u8> {
        // SAFETY: 32 live bytes to read, and a buffer with its capacity to write.
        let ask = |buffer, capacity| unsafe { import::account_roles(account.0.as_ptr(), buffer, capacity) };
        answer(ask).unwrap_or_default()
    }

    pub(crate) fn hash(tag: &str, data: &[u8]) -> Hash {
        let mut out = [0; 32];
        // SAFETY: live slices to read, and 32 bytes to write, which is what the host writes.
        unsafe { import::hash(tag.as_ptr(), tag.len(), data.as_ptr(), data.len(), out.as_mut_ptr()) };
        Hash(out)
    }

    pub(crate) fn verify(key: &Key, message: &[u8], signature: &Signature) -> bool {
        // SAFETY: 33 and 64 live bytes and a live slice, only read.
        unsafe { import::verify(key.0.as_ptr(), message.as_ptr(), message.len(), signature.0.as_ptr()) != 0 }
    }
}
