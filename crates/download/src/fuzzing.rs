//! The parsers of a file's bytes, for fuzz targets: they take anything and must come back.

use std::io::Cursor;

use crate::convert::fuzzing;

/// An array of rows, at the top or under a key, each row parsed.
pub fn array(bytes: &[u8]) {
    fuzzing::array(Cursor::new(bytes.to_vec()), None);
    fuzzing::array(Cursor::new(bytes.to_vec()), Some("data"));
}

/// Lines of rows, each row parsed.
pub fn lines(bytes: &[u8]) {
    fuzzing::lines(Cursor::new(bytes.to_vec()));
}

/// Comma-separated values.
pub fn csv(bytes: &[u8]) {
    fuzzing::csv(Cursor::new(bytes.to_vec()));
}
