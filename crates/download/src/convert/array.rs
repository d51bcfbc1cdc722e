//! Rows out of a JSON array, one at a time.
//!
//! Datasets come as single arrays of gigabytes. A reader of the whole would need their size in
//! memory, and serde's streaming reader takes a byte at a time. Here the array is cut into its
//! elements by counting brackets outside strings, at gigabytes a second; what an element holds is
//! checked by who parses it, what lies between elements is checked here. A cut stands at a byte of
//! the content, so a later run goes on there.

use std::io;

use mashbill_records::{BYTE_ORDER_MARK, ValueEnd};

use super::window::ContentWindow;

/// What was cut out.
#[derive(Debug)]
pub(crate) enum Cut {
    /// A row: the first so many of the bytes at hand.
    Row(usize),
    /// A row that is longer than allowed; it was passed over.
    TooLong,
}

/// Why no row can be cut out.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The file cannot be read.
    Io(io::Error),
    /// The content is no array of rows: what is wrong, and at which byte.
    Content { what: &'static str, at: u64 },
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An array that is being cut.
#[derive(Debug)]
pub(crate) struct Array {
    window: ContentWindow,
    /// Whether the array is the value of a key, so that more may follow it.
    under_key: bool,
    /// Bytes of the row that was handed out last.
    handed_out: usize,
    first: bool,
    ended: bool,
    row_bytes_max: usize,
}

impl Array {
    /// The array that `window`'s content is, or, with `key`, that stands under this key of the object it is.
    pub(crate) fn open(
        mut window: ContentWindow,
        key: Option<&str>,
        row_bytes_max: usize,
    ) -> Result<Self, Broken> {
        byte_order_mark(&mut window)?;
        if let Some(key) = key {
            find_key(&mut window, key, row_bytes_max)?;
        }
        expect(&mut window, b'[', "an array expected")?;
        let under_key = key.is_some();
        Ok(Self { window, under_key, handed_out: 0, first: true, ended: false, row_bytes_max })
    }

    /// The array whose content goes on in `window` behind a row.
    pub(crate) const fn behind_a_row(window: ContentWindow, under_key: bool, row_bytes_max: usize) -> Self {
        Self { window, under_key, handed_out: 0, first: false, ended: false, row_bytes_max }
    }

    /// The bytes at hand, with which the row begins that was cut out.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Where the row that was cut out ends in the content.
    pub(crate) const fn position(&self) -> u64 {
        self.window.offset() + self.handed_out as u64
    }

    /// Cuts the next row out; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Cut>, Broken> {
        self.window.consume(std::mem::take(&mut self.handed_out));
        self.window.begin_row();
        if self.ended {
            return Ok(None);
        }
        let mut byte = peek(&mut self.window)?;
        if byte == Some(b']') {
            self.window.consume(1);
            return self.end();
        }
        if !self.first {
            if byte != Some(b',') {
                return Err(content(&self.window, "`,` or `]` expected between rows"));
            }
            self.window.consume(1);
            byte = peek(&mut self.window)?;
        }
        if matches!(byte, None | Some(b',' | b']' | b'}' | b':')) {
            return Err(content(&self.window, "a row expected"));
        }
        self.first = false;
        match element(&mut self.window, self.row_bytes_max)? {
            Some(length) => {
                self.handed_out = length;
                Ok(Some(Cut::Row(length)))
            }
            None => Ok(Some(Cut::TooLong)),
        }
    }

    /// Checks what follows the array.
    fn end(&mut self) -> Result<Option<Cut>, Broken> {
        self.ended = true;
        if self.under_key {
            while peek(&mut self.window)? == Some(b',') {
                self.window.consume(1);
                key(&mut self.window, self.row_bytes_max)?;
                pass_over(&mut self.window, self.row_bytes_max)?;
            }
            expect(&mut self.window, b'}', "`,` or `}` expected behind the rows")?;
        }
        match peek(&mut self.window)? {
            None => Ok(None),
            Some(_) => Err(content(&self.window, "nothing expected behind the end")),
        }
    }
}

/// Goes behind a byte order mark.
pub(crate) fn byte_order_mark(window: &mut ContentWindow) -> io::Result<()> {
    window.fill_to(BYTE_ORDER_MARK.len())?;
    if window.bytes().starts_with(BYTE_ORDER_MARK) {
        window.consume(BYTE_ORDER_MARK.len());
    }
    Ok(())
}

/// Goes behind white space, and says which byte follows.
pub(crate) fn peek(window: &mut ContentWindow) -> io::Result<Option<u8>> {
    loop {
        let blank = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t');
        let found = window.bytes().iter().position(|b| !blank(b));
        window.consume(found.unwrap_or(window.bytes().len()));
        if found.is_some() {
            return Ok(window.bytes().first().copied());
        }
        if !window.fill()? {
            return Ok(None);
        }
    }
}

/// Goes into an object up to the value of `wanted`.
fn find_key(window: &mut ContentWindow, wanted: &str, row_bytes_max: usize) -> Result<(), Broken> {
    expect(window, b'{', "an object expected")?;
    if peek(window)? == Some(b'}') {
        return Err(content(window, "the key of the rows is not there"));
    }
    loop {
        if key(window, row_bytes_max)? == wanted {
            return Ok(());
        }
        pass_over(window, row_bytes_max)?;
        if peek(window)? != Some(b',') {
            return Err(content(window, "the key of the rows is not there"));
        }
        window.consume(1);
    }
}

/// Goes behind a key and its colon. The key is returned as it is spelled.
fn key(window: &mut ContentWindow, row_bytes_max: usize) -> Result<String, Broken> {
    if peek(window)? != Some(b'"') {
        return Err(content(window, "a name in quotes expected"));
    }
    let Some(length) = element(window, row_bytes_max)? else {
        return Err(content(window, "a name expected"));
    };
    let name = String::from_utf8_lossy(&window.bytes()[1..length - 1]).into_owned();
    window.consume(length);
    expect(window, b':', "`:` expected")?;
    Ok(name)
}

/// Skips a value that is not needed.
fn pass_over(window: &mut ContentWindow, row_bytes_max: usize) -> Result<(), Broken> {
    if matches!(peek(window)?, None | Some(b',' | b']' | b'}' | b':')) {
        return Err(content(window, "a value expected"));
    }
    if let Some(length) = element(window, row_bytes_max)? {
        window.consume(length);
    }
    Ok(())
}

fn expect(window: &mut ContentWindow, byte: u8, what: &'static str) -> Result<(), Broken> {
    if peek(window)? != Some(byte) {
        return Err(content(window, what));
    }
    window.consume(1);
    Ok(())
}

const fn content(window: &ContentWindow, what: &'static str) -> Broken {
    Broken::Content { what, at: window.offset() }
}

/// The length of the value with which the bytes at hand begin. One that is longer than `row_bytes_max` is
/// passed over, and there is no length.
fn element(window: &mut ContentWindow, row_bytes_max: usize) -> Result<Option<usize>, Broken> {
    let mut walk = ValueEnd::default();
    let mut passed_over = false;
    loop {
        if let Some(length) = walk.find(window.bytes()) {
            if passed_over || length > row_bytes_max {
                window.consume(length);
                return Ok(None);
            }
            return Ok(Some(length));
        }
        if passed_over || walk.walked() > row_bytes_max {
            passed_over = true;
            window.consume(walk.let_go());
        }
        if !window.fill()? {
            // A number may end with the content, which who asks for more will find.
            let length = window.bytes().len();
            return if walk.is_scalar() && length > 0 && !passed_over {
                Ok(Some(length))
            } else {
                let at = window.offset() + length as u64;
                Err(Broken::Content { what: "the content ends within a value", at })
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of some length.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl io::Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            io::Read::read(&mut self.0, &mut buffer[..length])
        }
    }

    fn window(content: &str, piece: usize, offset: u64) -> ContentWindow {
        let rest = content.as_bytes()[offset as usize..].to_vec();
        ContentWindow::over(Box::new(Pieces(io::Cursor::new(rest), piece)), offset)
    }

    /// The rows of an array, each with where it ends; the error's text.
    fn rows(mut array: Array) -> Result<Vec<(String, u64)>, String> {
        let mut rows = Vec::new();
        loop {
            match array.next() {
                Ok(Some(Cut::Row(length))) => {
                    let row = String::from_utf8(array.bytes()[..length].to_vec()).expect("UTF-8");
                    rows.push((row, array.position()));
                }
                Ok(Some(Cut::TooLong)) => rows.push(("too long".into(), array.position())),
                Ok(None) => return Ok(rows),
                Err(Broken::Content { what, at }) => return Err(format!("{what} at {at}")),
                Err(Broken::Io(error)) => return Err(error.to_string()),
            }
        }
    }

    fn cut(content: &str, key: Option<&str>, piece: usize) -> Result<Vec<(String, u64)>, String> {
        match Array::open(window(content, piece, 0), key, 1000) {
            Ok(array) => rows(array),
            Err(Broken::Content { what, at }) => Err(format!("{what} at {at}")),
            Err(Broken::Io(error)) => Err(error.to_string()),
        }
    }

    fn any_rows() -> impl Strategy<Value = Vec<serde_json::Value>> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
            "[a\"\\\\\\[\\]{},: é]{0,8}".prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a\"\\]}]{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::vec(value, 0..8)
    }

    proptest! {
        #[test]
        fn rows_are_the_arrays_elements(
            rows in any_rows(), pretty in any::<bool>(), under in any::<bool>(), piece in 1..40_usize,
        ) {
            let value = if under {
                serde_json::json!({"a": [1, {"data": 2}], "data": rows, "z": "]"})
            } else {
                rows.clone().into()
            };
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("JSON");
            let key = under.then_some("data");
            let found = cut(&text, key, piece).map_err(TestCaseError::fail)?;
            let parsed: Vec<serde_json::Value> =
                found.iter().map(|(row, _)| serde_json::from_str(row).expect("JSON")).collect();
            prop_assert_eq!(&parsed, &rows);
            // From each row's end the others follow.
            for (index, (_, end)) in found.iter().enumerate() {
                let rest = Array::behind_a_row(window(&text, piece, *end), under, 1000);
                prop_assert_eq!(self::rows(rest).map_err(TestCaseError::fail)?, &found[index + 1..]);
            }
        }

        #[test]
        fn what_is_no_array_is_refused(text in "[\\[\\],{}\": 1a\\\\]{0,12}", piece in 1..5_usize) {
            let ours = cut(&text, None, piece);
            match serde_json::from_str::<Vec<serde_json::Value>>(&text) {
                Ok(rows) => prop_assert_eq!(ours.map(|found| found.len()), Ok(rows.len())),
                // Rows are checked by who parses them; what lies between them was checked here.
                Err(_) => if let Ok(found) = ours {
                    prop_assert!(found.iter().any(|(row, _)| serde_json::from_str::<serde_json::Value>(row).is_err()));
                },
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_byte() {
        let check = |content: &str, key: Option<&str>, expected: &str| {
            for piece in [1, 3, 100] {
                assert_eq!(cut(content, key, piece).expect_err(content), expected, "{content}");
            }
        };
        check("[{} {}]", None, "`,` or `]` expected between rows at 4");
        check("[{},]", None, "a row expected at 4");
        check("[1, 2", None, "`,` or `]` expected between rows at 5");
        check("[{\"a\": [1, ", None, "the content ends within a value at 11");
        check("[1] 2", None, "nothing expected behind the end at 4");
        check("{\"a\": [1]}", None, "an array expected at 0");
        check("{\"a\": 1, \"b\": 2}", Some("c"), "the key of the rows is not there at 15");
        check("{\"c\": [1]", Some("c"), "`,` or `}` expected behind the rows at 9");
        check("", None, "an array expected at 0");
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over() {
        let long = format!("[1, \"{}\", {{\"a\": 2}}]", "x\\\"]".repeat(1000));
        for piece in [1, 7, 5000] {
            let found: Vec<_> =
                cut(&long, None, piece).expect("an array").into_iter().map(|(row, _)| row).collect();
            assert_eq!(found, ["1", "too long", "{\"a\": 2}"]);
        }
        assert_eq!(cut("\u{feff}[1]", None, 2).expect("an array"), [("1".to_owned(), 5)]);
    }
}
