//! Lines of a file of JSON Lines, plain or compressed, one in memory at a time.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::open;

/// The mark that some editors put before the first character of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of a file.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file by the end of its name: `.gz`, `.zst`, or plain.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: reader(path, open::open(path)?)?, line: Vec::new(), number: 0 })
    }

    /// The next line that is not blank and its number, from 1; without its end. None after the last.
    ///
    /// # Errors
    /// It cannot be read or decompressed.
    pub fn read(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            if self.reader.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some((self.number, line)))
    }
}

/// The bytes of JSON Lines in `file`, decompressed as the end of `path` says.
pub(crate) fn reader<'a>(
    path: &Path,
    file: impl Read + Send + 'a,
) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let ends = |end: &str| path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes());
    Ok(if ends(".gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else if ends(".zst") {
        Box::new(BufReader::new(zstd::Decoder::new(file)?))
    } else {
        Box::new(BufReader::with_capacity(1 << 20, file))
    })
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}
