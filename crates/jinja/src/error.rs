//! Why a template is no template, or a rendering ended.

use std::fmt;

/// Why a template can't be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of reason it is.
    pub kind: ErrorKind,
    /// What happened, as a lowercase fragment for people; what there is none of where it is
    /// [`Unsupported`](ErrorKind::Unsupported).
    pub detail: String,
    /// The line of the template, from 1; 0 where none is known.
    pub line: u32,
}

/// What kind of reason ends a rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The template is no Jinja.
    Syntax,
    /// The template itself refuses: it called `raise_exception`.
    Raised,
    /// Something that the template uses is undefined.
    Undefined,
    /// An operation on values that Python does not have either.
    Operation,
    /// Something of Python or Jinja that no chat template is known to use, and this engine does not have.
    Unsupported,
    /// It asks for the date, and none is given.
    NoDate,
    /// More steps, memory or depth than a template gets.
    Limit,
    /// A longer text than it may make.
    TooLong,
}

/// How long what an error says may be.
const DETAIL_BYTES_MAX: usize = 500;

/// The result of reading or rendering.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with the line yet to come.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        // It may be made of what a template prints.
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        Self { kind, detail, line: 0 }
    }

    pub(crate) fn operation(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Operation, detail)
    }

    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, detail)
    }

    pub(crate) fn undefined(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Undefined, detail)
    }

    pub(crate) fn syntax(line: u32, detail: impl Into<String>) -> Self {
        Self { line, ..Self::new(ErrorKind::Syntax, detail) }
    }

    /// This error, at `line` unless it has one already.
    #[must_use]
    pub(crate) fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ErrorKind::Unsupported {
            f.write_str("there is no support for ")?;
        }
        f.write_str(&self.detail)?;
        match self.line {
            0 => Ok(()),
            line => write!(f, " (line {line} of the template)"),
        }
    }
}

impl std::error::Error for Error {}
