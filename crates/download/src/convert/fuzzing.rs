//! Cutting and parsing of any bytes, with small limits so that they are met.

use std::io::Cursor;

use mashbill_records::json;

use super::array::{Array, Cut};
use super::csv_rows::CsvRows;
use super::lines::CutLines;
use super::window::ContentWindow;

const ROW_BYTES_MAX: usize = 1000;

fn window(content: Cursor<Vec<u8>>) -> ContentWindow {
    ContentWindow::over(Box::new(content), 0)
}

fn parse(row: &[u8]) {
    if let Ok(text) = std::str::from_utf8(row)
        && let Ok(value) = json::parse(text, &|name| name != "b")
    {
        value.write(&mut Vec::new());
    }
}

pub(crate) fn array(content: Cursor<Vec<u8>>, key: Option<&str>) {
    let Ok(mut array) = Array::open(window(content), key, ROW_BYTES_MAX) else { return };
    while let Ok(Some(cut)) = array.next() {
        if let Cut::Row(length) = cut {
            parse(&array.bytes()[..length]);
        }
    }
}

pub(crate) fn lines(content: Cursor<Vec<u8>>) {
    let Ok(mut lines) = CutLines::open(window(content), ROW_BYTES_MAX) else { return };
    while let Ok(Some(cut)) = lines.next() {
        if let Cut::Row(length) = cut {
            parse(&lines.bytes()[..length]);
        }
    }
}

pub(crate) fn csv(content: Cursor<Vec<u8>>) {
    let Ok(mut rows) = CsvRows::open(window(content), 0, ROW_BYTES_MAX) else { return };
    while let Ok(true) = rows.advance() {
        drop(rows.row(&|name| name != "b"));
        drop(rows.start());
    }
}
