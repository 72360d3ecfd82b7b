//! Texts put together while the contract is compiled: the ABI costs nothing at run time.

/// At most `N` bytes of UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Appends a text.
    ///
    /// # Panics
    /// When there is no room: while compiling, so the contract does not build.
    pub const fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.byte(bytes[i]);
            i += 1;
        }
    }

    /// Appends a text as a JSON string with its quotes. Control characters are not for names: they do not compile.
    ///
    /// # Panics
    /// As [`Self::push`].
    pub const fn quote(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i] >= b' ', "no control characters in names and titles");
            if bytes[i] == b'"' || bytes[i] == b'\\' {
                self.byte(b'\\');
            }
            self.byte(bytes[i]);
            i += 1;
        }
        self.byte(b'"');
    }

    /// Appends `"title":{"en":…,"zh":…}`.
    pub const fn title(&mut self, en: &str, zh: &str) {
        self.push("\"title\":{\"en\":");
        self.quote(en);
        self.push(",\"zh\":");
        self.quote(zh);
        self.push("}");
    }

    const fn byte(&mut self, byte: u8) {
        assert!(self.len < N, "the ABI is too long");
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            // Only whole texts and ASCII are ever appended.
            Err(_) => "",
        }
    }

    /// The first `L` bytes: with `L` = [`Self::len`], all there are.
    ///
    /// # Panics
    /// When `L` is larger than `N`.
    #[must_use]
    pub const fn to_array<const L: usize>(&self) -> [u8; L] {
        let mut out = [0; L];
        let mut i = 0;
        while i < L {
            out[i] = self.bytes[i];
            i += 1;
        }
        out
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}
