//! Rows out of lines.
//!
//! The last line counts whether it ends with a line end or not; blank ones do not count.

use std::io;

use super::array::{Cut, byte_order_mark};
use super::window::ContentWindow;

/// Content that is being cut at its line ends.
#[derive(Debug)]
pub(crate) struct CutLines {
    window: ContentWindow,
    /// Bytes of the line that was handed out last, its end included.
    handed_out: usize,
    row_bytes_max: usize,
}

impl CutLines {
    /// The lines of `window`'s content.
    pub(crate) fn open(mut window: ContentWindow, row_bytes_max: usize) -> io::Result<Self> {
        if window.offset() == 0 {
            byte_order_mark(&mut window)?;
        }
        Ok(Self { window, handed_out: 0, row_bytes_max })
    }

    /// The bytes at hand, with which the row begins that was cut out.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Where the line that was cut out ends in the content.
    pub(crate) const fn position(&self) -> u64 {
        self.window.offset() + self.handed_out as u64
    }

    /// Cuts the next line out that is not blank; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Cut>> {
        self.window.begin_row();
        loop {
            self.window.consume(std::mem::take(&mut self.handed_out));
            let Some(cut) = self.line()? else { return Ok(None) };
            match cut {
                Cut::Row(length) if self.bytes()[..length].iter().all(u8::is_ascii_whitespace) => {}
                cut => return Ok(Some(cut)),
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<Cut>> {
        let mut searched = 0;
        let mut passed_over = false;
        loop {
            if let Some(step) = memchr::memchr(b'\n', &self.bytes()[searched..]) {
                let length = searched + step;
                self.handed_out = length + 1;
                let too_long = passed_over || length > self.row_bytes_max;
                return Ok(Some(if too_long { Cut::TooLong } else { Cut::Row(length) }));
            }
            searched = self.bytes().len();
            if passed_over || searched > self.row_bytes_max {
                passed_over = true;
                self.window.consume(std::mem::take(&mut searched));
            }
            if !self.window.fill()? {
                self.handed_out = searched;
                return Ok(match (passed_over, searched) {
                    (true, _) => Some(Cut::TooLong),
                    (false, 0) => None,
                    (false, length) => Some(Cut::Row(length)),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &str) -> Vec<String> {
        let window = ContentWindow::over(Box::new(io::Cursor::new(content.as_bytes().to_vec())), 0);
        let mut lines = CutLines::open(window, 10).expect("content");
        let mut rows = Vec::new();
        while let Some(cut) = lines.next().expect("content") {
            rows.push(match cut {
                Cut::Row(length) => String::from_utf8_lossy(&lines.bytes()[..length]).into_owned(),
                Cut::TooLong => "too long".into(),
            });
        }
        assert_eq!(lines.position(), content.len() as u64);
        rows
    }

    #[test]
    fn lines_are_rows_with_or_without_a_last_end() {
        assert_eq!(rows("{}\n{\"a\":1}"), ["{}", "{\"a\":1}"]);
        assert_eq!(rows("\u{feff}{}\r\n\n  \n[]\n"), ["{}\r", "[]"]);
        assert_eq!(rows("1\n12345678901\n3"), ["1", "too long", "3"]);
        assert_eq!(rows("12345678901"), ["too long"]);
        assert!(rows("").is_empty() && rows("\n\n").is_empty());
    }
}
