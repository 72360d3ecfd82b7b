//! Nothing prebuilt and nothing large is kept in the repository, and only scripts are executable.

use crate::{Breach, Tree};

/// Largest file that is kept, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// First bytes of formats that are built, not written.
const BUILT: &[(&[u8], &str)] = &[
    (b"\x7fELF", "a Linux program or library"),
    (b"\0asm", "a WebAssembly module"),
    (b"!<arch>\n", "a static library"),
    (b"MZ\x90\0", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a Java class or macOS program"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
];

/// Judges sizes, formats and permissions.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &tree.files {
        if file.bytes.len() > FILE_BYTES_MAX {
            let what = format!("{} bytes, more than {FILE_BYTES_MAX}", file.bytes.len());
            breaches.push(Breach::new("size", &file.path, what));
        }
        if let Some((_, kind)) = BUILT.iter().find(|(magic, _)| file.bytes.starts_with(magic)) {
            breaches.push(Breach::new("prebuilt", &file.path, format!("is {kind}; commit what it is built from")));
        }
        let is_script = file.bytes.starts_with(b"#!");
        if file.executable && !is_script {
            breaches.push(Breach::new("executable", &file.path, "may be executed but does not start with #!"));
        }
        if is_script && !file.executable && !file.has_extension("rs") {
            breaches.push(Breach::new("executable", &file.path, "starts with #! but may not be executed"));
        }
    }
    breaches
}
