//! How a page and a WebAssembly module in its worker talk: bytes in, bytes out, refusals as problems, and a file of the page read
//! piece by piece.
//!
//! Deliberately not here: what a module does; [`module!`] names its calls.
//!
//! ```text
//! at = reserve(n); write the input at `at`; ok = CALL(); read answer_bytes() bytes at answer_at(); forget()
//! ```

use std::sync::{Mutex, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use vouch_types::api::{Language, Problem, kind_of};
use zeroize::Zeroize as _;

mod file;

#[cfg(not(target_arch = "wasm32"))]
pub use file::hold;
pub use file::{HostFile, seen};

/// Most bytes of an input: a reading of the largest document, as JSON.
const INPUT_BYTES_MAX: usize = 64 << 20;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Why it cannot be done: a stable code, and what was wrong this time.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable code.
    pub code: &'static str,
    /// What was wrong.
    pub detail: String,
}

impl Fault {
    /// With its code.
    #[must_use]
    pub fn new(code: &'static str, detail: impl core::fmt::Display) -> Self {
        Self { code, detail: detail.to_string() }
    }

    /// As the API and the command line tell it, in both languages.
    fn told(self) -> Vec<u8> {
        let problem = Problem::new(self.code, self.detail);
        let chinese = problem.clone().translated(Language::Chinese);
        let known = kind_of(self.code).is_some();
        json!({ "code": problem.code, "status": 0, "detail": problem.detail, "title": known.then_some(problem.title),
            "mend": known.then_some(problem.mend), "title_zh": known.then_some(chinese.title),
            "mend_zh": known.then_some(chinese.mend) })
        .to_string()
        .into_bytes()
    }
}

/// An input as JSON.
///
/// # Errors
/// `client.bad_input`.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::new("client.bad_input", error))
}

/// An answer as JSON.
///
/// # Errors
/// `client.bad_input`, which a value of ours never is.
pub fn written(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::new("client.bad_input", error))
}

/// The input without its first part: length as `u32` little-endian, then so many bytes.
///
/// # Errors
/// `client.bad_input`.
pub fn part(input: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let short = || Fault::new("client.bad_input", "shorter than its length says");
    let (length, rest) = input.split_first_chunk::<4>().ok_or_else(short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| short())?;
    rest.split_at_checked(length).ok_or_else(short)
}

/// Room for `bytes` of input, zeroed; the place to write it to. 0 when that is more than any input has.
pub fn reserve(bytes: u32) -> *mut u8 {
    let bytes = bytes as usize;
    if bytes > INPUT_BYTES_MAX {
        return core::ptr::null_mut();
    }
    let mut input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    *input = vec![0; bytes];
    input.as_mut_ptr()
}

/// Where the answer is.
pub fn answer_at() -> *const u8 {
    ANSWER.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

/// How many bytes the answer has.
pub fn answer_bytes() -> u32 {
    u32::try_from(ANSWER.lock().unwrap_or_else(PoisonError::into_inner).len()).unwrap_or(0)
}

/// Erases the answer before: it may hold what its reader has done with.
pub fn forget() {
    ANSWER.lock().unwrap_or_else(PoisonError::into_inner).zeroize();
}

/// Has work done with the input; 1 when it was done, and the answer says more either way.
pub fn answer(work: impl FnOnce(&[u8]) -> Result<Vec<u8>, Fault>) -> u32 {
    let mut input = core::mem::take(&mut *INPUT.lock().unwrap_or_else(PoisonError::into_inner));
    let (is_done, bytes) = match work(&input) {
        Ok(bytes) => (1, bytes),
        Err(fault) => (0, fault.told()),
    };
    // A password may have been in it.
    input.zeroize();
    let mut answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner);
    answer.zeroize();
    *answer = bytes;
    is_done
}

/// A module's calls by the names that the page looks for, and those that bring input and answer over.
#[macro_export]
macro_rules! module {
    ($($(#[$doc:meta])* $name:ident = $work:path;)*) => {
        /// See [`page::reserve`].
        #[allow(unsafe_code, reason = "a name that the page looks for")]
        #[unsafe(no_mangle)]
        pub extern "C" fn reserve(bytes: u32) -> *mut u8 {
            $crate::reserve(bytes)
        }

        /// See [`page::answer_at`].
        #[allow(unsafe_code, reason = "a name that the page looks for")]
        #[unsafe(no_mangle)]
        pub extern "C" fn answer_at() -> *const u8 {
            $crate::answer_at()
        }

        /// See [`page::answer_bytes`].
        #[allow(unsafe_code, reason = "a name that the page looks for")]
        #[unsafe(no_mangle)]
        pub extern "C" fn answer_bytes() -> u32 {
            $crate::answer_bytes()
        }

        /// See [`page::forget`].
        #[allow(unsafe_code, reason = "a name that the page looks for")]
        #[unsafe(no_mangle)]
        pub extern "C" fn forget() {
            $crate::forget()
        }
        $(
            $(#[$doc])*
            #[allow(unsafe_code, reason = "a name that the page looks for")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> u32 {
                $crate::answer($work)
            }
        )*
    };
}
