//! Files without a name that a run works with: gone with the process, however it ends. Where there are no files they are memory.

use std::{
    io::{self, Read},
    sync::Arc,
};

pub(crate) use imp::WorkFile;

#[cfg(feature = "native")]
mod imp {
    use std::{
        fs::File,
        io::{self, Write},
        os::unix::fs::FileExt as _,
        path::Path,
    };

    /// A file without a name.
    #[derive(Debug)]
    pub(crate) struct WorkFile(File);

    impl WorkFile {
        pub(crate) fn new(folder: &Path) -> io::Result<Self> {
            tempfile::tempfile_in(folder).map(Self)
        }

        pub(crate) fn read_at(&self, into: &mut [u8], byte: u64) -> io::Result<usize> {
            self.0.read_at(into, byte)
        }

        pub(crate) fn read_exact_at(&self, into: &mut [u8], byte: u64) -> io::Result<()> {
            self.0.read_exact_at(into, byte)
        }

        /// The file, for tests that damage it.
        #[cfg(test)]
        pub(crate) const fn file(&self) -> &File {
            &self.0
        }
    }

    impl Write for WorkFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
}

#[cfg(not(feature = "native"))]
mod imp {
    use std::{
        io::{self, ErrorKind, Write},
        path::Path,
    };

    /// Most bytes of one: a browser's memory is bounded.
    const BYTES_MAX: usize = 1 << 30;

    /// Memory in the place of a file.
    #[derive(Debug)]
    pub(crate) struct WorkFile(Vec<u8>);

    impl WorkFile {
        pub(crate) fn new(_: &Path) -> io::Result<Self> {
            Ok(Self(Vec::new()))
        }

        pub(crate) fn read_at(&self, into: &mut [u8], byte: u64) -> io::Result<usize> {
            let from = usize::try_from(byte).map_err(io::Error::other)?;
            let rest = self.0.get(from..).unwrap_or_default();
            let count = rest.len().min(into.len());
            for (to, from) in into.iter_mut().zip(rest) {
                *to = *from;
            }
            Ok(count)
        }

        pub(crate) fn read_exact_at(&self, into: &mut [u8], byte: u64) -> io::Result<()> {
            if self.read_at(into, byte)? == into.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
        }
    }

    impl Write for WorkFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len().saturating_add(bytes.len()) > BYTES_MAX {
                return Err(ErrorKind::OutOfMemory.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

/// One of them, read from a place of its own.
#[derive(Debug)]
pub(crate) struct At {
    file: Arc<WorkFile>,
    byte: u64,
}

impl At {
    pub(crate) fn start(file: &Arc<WorkFile>) -> Self {
        Self { file: Arc::clone(file), byte: 0 }
    }
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.byte)?;
        self.byte += count as u64;
        Ok(count)
    }
}
