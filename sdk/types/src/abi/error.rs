//! Why a text is not an ABI, and why a value does not fit one.

/// Why a contract's description is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    /// Not JSON, or not of the shape.
    #[error("not an ABI: {0}")]
    Json(String),
    /// A version this code does not know.
    #[error("ABI version {0} is not known")]
    Version(u32),
    /// Too few or too many bytes or entries.
    #[error("{path}: size {actual}, must be {min} to {max}")]
    Count {
        /// Where.
        path: String,
        /// How many there are.
        actual: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// A name with characters that names do not have.
    #[error("{path}: {name:?} is not a name")]
    Name {
        /// Where.
        path: String,
        /// What stands there.
        name: String,
    },
    /// A name used twice in one list.
    #[error("{path}: {name:?} is there twice")]
    Duplicate {
        /// Where.
        path: String,
        /// The name.
        name: String,
    },
    /// A named type that is not there.
    #[error("{path}: there is no type {name:?}")]
    UnknownType {
        /// Where it is named.
        path: String,
        /// Its name.
        name: String,
    },
    /// A type that contains itself without a list or an option in between, so that no value of it ends.
    #[error("types.{name}: contains itself; put a list or an option in between")]
    Endless {
        /// The type.
        name: String,
    },
    /// An option directly in an option: `null` would have two meanings.
    #[error("{path}: an option directly inside an option")]
    DoubleOption {
        /// Where.
        path: String,
    },
    /// Nested too deep.
    #[error("{path}: nested deeper than {max}", max = super::DEPTH_MAX)]
    Depth {
        /// Where.
        path: String,
    },
}

impl AbiError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "abi.json",
            Self::Version(_) => "abi.unknown_version",
            Self::Count { .. } => "abi.size",
            Self::Name { .. } => "abi.name",
            Self::Duplicate { .. } => "abi.duplicate",
            Self::UnknownType { .. } => "abi.unknown_type",
            Self::Endless { .. } => "abi.endless_type",
            Self::DoubleOption { .. } => "abi.double_option",
            Self::Depth { .. } => "abi.depth",
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// The ABI has no method of this name.
    #[error("the contract has no method {0:?}")]
    UnknownMethod(String),
    /// The ABI has no event of this name.
    #[error("the contract has no event {0:?}")]
    UnknownEvent(String),
    /// The ABI has no type of this name.
    #[error("the contract has no type {0:?}")]
    UnknownType(String),
    /// A field the type does not have.
    #[error("unknown field")]
    UnknownField,
    /// A field of the type that is not there.
    #[error("missing")]
    MissingField,
    /// A value of another type.
    #[error("expected {0}")]
    WrongType(&'static str),
    /// A number outside the type's range.
    #[error("out of range for {0}")]
    OutOfRange(&'static str),
    /// No variant of the enum.
    #[error("unknown variant {0:?}")]
    UnknownVariant(String),
    /// Nested too deep.
    #[error("nested deeper than {max}", max = super::DEPTH_MAX)]
    Depth,
    /// Too many bytes or values.
    #[error("too large")]
    TooLarge,
    /// Bytes that end in the middle of a value.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes after the value's end.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// Bytes that are no value of the type.
    #[error("the bytes are not {0}")]
    BadBytes(&'static str),
}

/// A value that does not fit its type: where and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}", place = self.place())]
pub struct ValueError {
    /// From the outermost value, for example `lines[3].count`; empty for the outermost value itself.
    pub path: String,
    /// What is wrong there.
    pub fault: ValueFault,
}

impl From<ValueFault> for ValueError {
    fn from(fault: ValueFault) -> Self {
        Self { path: String::new(), fault }
    }
}

impl ValueError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.fault {
            ValueFault::UnknownMethod(_) => "value.unknown_method",
            ValueFault::UnknownEvent(_) => "value.unknown_event",
            ValueFault::UnknownType(_) => "value.unknown_type",
            ValueFault::UnknownField => "value.unknown_field",
            ValueFault::MissingField => "value.missing_field",
            ValueFault::WrongType(_) => "value.wrong_type",
            ValueFault::OutOfRange(_) => "value.out_of_range",
            ValueFault::UnknownVariant(_) => "value.unknown_variant",
            ValueFault::Depth => "value.depth",
            ValueFault::TooLarge => "value.too_large",
            ValueFault::Truncated => "value.truncated",
            ValueFault::Trailing(_) => "value.trailing_bytes",
            ValueFault::BadBytes(_) => "value.bad_bytes",
        }
    }

    fn place(&self) -> &str {
        if self.path.is_empty() { "value" } else { &self.path }
    }

    /// The same fault, seen from the value that has it in its field `name`.
    pub(super) fn in_field(self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{name}{dot}{}", self.path), fault: self.fault }
    }

    /// The same fault, seen from the list that has it at `index`.
    pub(super) fn in_item(self, index: usize) -> Self {
        self.in_field(&format!("[{index}]"))
    }
}
