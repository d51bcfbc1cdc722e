//! Where a JSON value ends, by counting brackets outside strings: gigabytes a second, no memory, however deep.
//!
//! What the value holds is checked by who parses it.

/// A walk through a value, which may be continued when more bytes are at hand.
#[derive(Debug, Default)]
pub struct ValueEnd {
    /// Bytes that are behind it.
    at: usize,
    begun: bool,
    depth: u64,
    in_string: bool,
    is_scalar: bool,
}

impl ValueEnd {
    /// The value's length, if it ends within `bytes`, which begin where the walk began or was continued, and with no
    /// bracket that closes, comma or colon.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if self.in_string {
                let step = memchr::memchr2(b'"', b'\\', &bytes[self.at..]);
                self.at += step.unwrap_or(bytes.len() - self.at);
                match bytes.get(self.at)? {
                    b'"' => {
                        self.in_string = false;
                        self.at += 1;
                        if self.depth == 0 {
                            return Some(self.at);
                        }
                    }
                    // What is escaped counts for nothing; it may not be at hand yet.
                    _ if self.at + 1 < bytes.len() => self.at += 2,
                    _ => return None,
                }
                continue;
            }
            let byte = *bytes.get(self.at)?;
            if self.is_scalar {
                if matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') {
                    return Some(self.at);
                }
                self.at += 1;
                continue;
            }
            self.at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => self.is_scalar = !self.begun,
            }
            self.begun = true;
        }
    }

    /// Bytes that the walk has gone through without an end.
    #[must_use]
    pub const fn walked(&self) -> usize {
        self.at
    }

    /// Lets go of the bytes that it has gone through, and says how many: [`find`](Self::find) is given those that
    /// follow.
    pub const fn let_go(&mut self) -> usize {
        std::mem::replace(&mut self.at, 0)
    }

    /// Whether the value is a number or a word, which ends where something else begins.
    #[must_use]
    pub const fn is_scalar(&self) -> bool {
        self.is_scalar
    }
}
