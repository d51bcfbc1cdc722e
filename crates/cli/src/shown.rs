//! Text from files, names and servers, as it is shown: what would steer a terminal is spelled.
//!
//! A name may hold an escape sequence that colors, erases or types, a carriage return that overwrites what was said
//! before, or a mark that turns the direction of what follows. Whatever is printed goes through here.

use std::fmt::{self, Display, Write};

/// Whether a character steers instead of being seen: control characters, separators of lines, marks of direction.
pub(crate) const fn steers(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// A value whose text is shown with everything that steers spelled as in Rust: `\n`, `\u{1b}`.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Spelling(f), "{}", self.0)
    }
}

struct Spelling<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Spelling<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, character) in text.char_indices().filter(|(_, character)| steers(*character)) {
            self.0.write_str(&text[plain..at])?;
            // `escape_debug` leaves marks of direction as they are.
            match character {
                '\n' | '\t' | '\r' => write!(self.0, "{}", character.escape_default())?,
                other => write!(self.0, "{}", other.escape_unicode())?,
            }
            plain = at + character.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// JSON in which what steers is spelled as JSON spells it: the same values, in other words.
pub(crate) fn shown_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        // Line ends are JSON's own here: those in strings are spelled already.
        if steers(character) && character != '\n' {
            let _ = write!(shown, "\\u{:04x}", character as u32);
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_spelled_and_all_else_stays() {
        let shown = |text: &str| Shown(text).to_string();
        assert_eq!(shown("a\u{1b}[2Jb\r\n\tc"), "a\\u{1b}[2Jb\\r\\n\\tc");
        assert_eq!(shown("\u{9b}31m\u{202e}txt.exe\u{2069}"), "\\u{9b}31m\\u{202e}txt.exe\\u{2069}");
        assert_eq!(shown("\u{7f}\u{85}\u{61c}\u{200f}\u{2028}"), "\\u{7f}\\u{85}\\u{61c}\\u{200f}\\u{2028}");
        for kept in ["", "über 数 مثال 👩‍👩‍👧", "back\\slash \"quoted\" \u{a0}\u{301}"] {
            assert_eq!(shown(kept), kept);
        }
    }

    #[test]
    fn json_says_the_same_in_plain_characters() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}\u{7f}\u{202e}\n\u{2028}x" });
        let json = shown_json(&serde_json::to_string_pretty(&value).expect("a value"));
        assert!(json.chars().all(|character| character == '\n' || !steers(character)), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("it is JSON"), value);
    }
}
