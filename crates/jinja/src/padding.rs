//! Text made as wide as it has to be.

use crate::access::characters;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::text::MarkedText;

/// Which end of a string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
    Both,
}

impl<'a> Machine<'a> {
    /// A text with `fill` at its `end` until it has `width` characters.
    pub(crate) fn padded(
        &self,
        text: MarkedText<'a>,
        width: i64,
        fill: MarkedText<'a>,
        end: End,
    ) -> Result<MarkedText<'a>> {
        if characters(fill) != 1 {
            return Err(Error::operation("what fills a string up is not one character"));
        }
        let length = characters(text) as i64;
        let missing = width.saturating_sub(length);
        if missing <= 0 {
            return Ok(text);
        }
        // CPython's way to halve: the odd one goes to the left where the width is odd.
        let left = match end {
            End::Left => missing,
            End::Right => 0,
            End::Both => missing / 2 + (missing & width & 1),
        };
        let (left, right) = (left as usize, (missing - left) as usize);
        self.joined(&[self.repeated(fill, left)?, text, self.repeated(fill, right)?])
    }
}
