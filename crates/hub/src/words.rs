//! Words of others, as they may be shown.

/// `text` with what would move a terminal's cursor, or turn the direction of writing, as escapes.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if c.is_control() || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_or_turns_is_escaped_and_letters_stay() {
        assert_eq!(escaped("a\u{1b}[2J\u{9b}b\u{202e}c\n"), "a\\u{1b}[2J\\u{9b}b\\u{202e}c\\u{a}");
        assert_eq!(escaped("größe \"1\" 数 שלום"), "größe \"1\" 数 שלום");
    }
}
