//! Rows out of comma-separated values under a line of names.
//!
//! Every value is text. A quote that is never closed would make one row of all that follows, so
//! a row may only be so long.

use std::borrow::Cow;
use std::io;

use csv_core::{ReadRecordResult, Reader};
use mashbill_records::value::{Text, Value};

use super::array::byte_order_mark;
use super::refused::RefusedRow;
use super::window::ContentWindow;

/// Values in a row, at the most: empty ones take no bytes, but each takes a place in memory.
const VALUES_MAX: usize = 1 << 16;

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct CsvRows {
    window: ContentWindow,
    reader: Reader,
    names: Vec<String>,
    /// The values of the row that was advanced to, one behind the other, and where each ends.
    values: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    position: u64,
    row_bytes_max: usize,
}

impl CsvRows {
    /// The rows of `window`'s content, which stands at its beginning, behind the first `position` ones.
    pub(crate) fn open(mut window: ContentWindow, position: u64, row_bytes_max: usize) -> io::Result<Self> {
        byte_order_mark(&mut window)?;
        let mut rows = Self {
            window,
            reader: Reader::new(),
            names: Vec::new(),
            values: vec![0; 1 << 12],
            ends: vec![0; 16],
            count: 0,
            position: 0,
            row_bytes_max,
        };
        rows.advance()?;
        rows.names = rows.values().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        rows.position = 0;
        while rows.position < position && rows.advance()? {}
        Ok(rows)
    }

    /// Goes to the next row; false at the end.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.window.begin_row();
        let (mut written, mut ended) = (0, 0);
        let mut at_end = false;
        loop {
            if self.window.bytes().is_empty() && !at_end {
                at_end = !self.window.fill()?;
            }
            let (result, read, wrote, ends) = self.reader.read_record(
                self.window.bytes(),
                &mut self.values[written..],
                &mut self.ends[ended..],
            );
            self.window.consume(read);
            written += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.values.len() >= self.row_bytes_max => {
                    let what = "a row is too long: is a quote not closed?";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                ReadRecordResult::OutputFull => self.values.resize(2 * self.values.len(), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= VALUES_MAX => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a row has too many values"));
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    self.count = ended;
                    self.position += 1;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// Rows up to the one that was advanced to, it included.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The row that was advanced to.
    pub(crate) fn row(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Value<'_>, RefusedRow> {
        if self.count != self.names.len() {
            let detail = format!("{} values under {} names", self.count, self.names.len());
            return Err(RefusedRow::new("invalid_csv", detail));
        }
        let mut fields = Vec::new();
        for (name, value) in self.names.iter().zip(self.values()) {
            if wanted(name) {
                let value =
                    std::str::from_utf8(value).map_err(|_| RefusedRow::new("invalid_utf8", name.as_str()))?;
                fields.push((Cow::Borrowed(name.as_str()), Value::Text(Text::Plain(Cow::Borrowed(value)))));
            }
        }
        Ok(Value::Map(fields))
    }

    /// The row that was advanced to, for people.
    pub(crate) fn start(&self) -> String {
        self.values().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).take(self.count).map(|(start, &end)| &self.values[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &str, from: u64) -> Vec<String> {
        let window = ContentWindow::over(Box::new(io::Cursor::new(content.as_bytes().to_vec())), 0);
        let mut rows = CsvRows::open(window, from, 10_000).expect("content");
        let mut found = Vec::new();
        while rows.advance().expect("content") {
            found.push(match rows.row(&|name| name != "b") {
                Ok(value) => format!(
                    "{}={}",
                    rows.position(),
                    value.field("a").and_then(Value::text).expect("a").plain()
                ),
                Err(refused) => refused.reason.to_owned(),
            });
        }
        found
    }

    #[test]
    fn values_may_hold_commas_quotes_and_line_ends() {
        let content = "\u{feff}a,b\r\n1,2\r\n\"x, \"\"y\"\"\nz\",3\nonly one\n4,5";
        assert_eq!(rows(content, 0), ["1=1", "2=x, \"y\"\nz", "invalid_csv", "4=4"]);
        assert_eq!(rows(content, 2), ["invalid_csv", "4=4"]);
        assert!(rows("", 0).is_empty());
    }

    #[test]
    fn a_quote_that_is_not_closed_is_found_out() {
        let content = format!("a\n\"{}", "x\n".repeat(20_000));
        let window = ContentWindow::over(Box::new(io::Cursor::new(content.into_bytes())), 0);
        let mut rows = CsvRows::open(window, 0, 10_000).expect("a line of names");
        assert_eq!(rows.advance().expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }
    #[test]
    fn a_row_of_nothing_but_commas_takes_no_memory() {
        let content = format!("a\n{}", ",".repeat(VALUES_MAX + 1));
        let window = ContentWindow::over(Box::new(io::Cursor::new(content.into_bytes())), 0);
        let mut rows = CsvRows::open(window, 0, 10_000_000).expect("a line of names");
        assert_eq!(rows.advance().expect_err("too many").to_string(), "a row has too many values");
    }
}
