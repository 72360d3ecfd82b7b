//! The files of the repository as git knows them, so that build output and scratch files are never judged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A tree of files under judgement: the repository itself, or a planted one in a self-test.
#[derive(Debug)]
pub struct Tree {
    /// Directory that all paths are relative to.
    pub root: PathBuf,
    /// Files in order of path.
    pub files: Vec<File>,
}

/// One file of a [`Tree`].
#[derive(Debug)]
pub struct File {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// Content, empty for a symbolic link.
    pub bytes: Vec<u8>,
    /// Whether the owner may execute it.
    pub executable: bool,
}

impl File {
    /// The content when it is text: UTF-8 without a zero byte.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if self.bytes.contains(&0) { None } else { std::str::from_utf8(&self.bytes).ok() }
    }

    /// Whether the path ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Tree {
    /// The tracked files, and those that a commit of everything would add, of the repository at `root`.
    ///
    /// # Errors
    /// If git cannot be run there, or a file cannot be read.
    pub fn tracked(root: &Path) -> Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("running git ls-files")?;
        ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
        let names = String::from_utf8(output.stdout).context("a path that is not UTF-8")?;
        Self::read(root, names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Every file below `root`, for trees that are not repositories.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn walked(root: &Path) -> Result<Self> {
        let mut names = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
                }
            }
        }
        Self::read(root, names)
    }

    fn read(root: &Path, mut names: Vec<String>) -> Result<Self> {
        names.sort();
        names.dedup();
        let mut files = Vec::with_capacity(names.len());
        for path in names {
            let full = root.join(&path);
            // A file deleted in the work tree but not yet in the index is gone for every rule.
            let Ok(meta) = fs::symlink_metadata(&full) else { continue };
            let bytes = if meta.is_file() { fs::read(&full).with_context(|| path.clone())? } else { Vec::new() };
            files.push(File { executable: meta.is_file() && meta.permissions().mode() & 0o100 != 0, path, bytes });
        }
        Ok(Self { root: root.to_path_buf(), files })
    }

    /// Files whose path ends in `.extension`.
    pub fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.has_extension(extension))
    }
}

/// The root of this repository, found from this crate's own place in it.
#[must_use]
pub fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
