//! What Python says of a character where Rust says something else.

/// `str.isspace` of one character: what `strip`, `split` and `\s` mean.
pub(crate) const fn is_white_space(character: char) -> bool {
    matches!(character, '\x1C'..='\x1F') || character.is_whitespace()
}

/// Where `str.splitlines` ends a line, `\r\n` aside.
pub(crate) const fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\x0B' | '\x0C' | '\r' | '\x1C'..='\x1E' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `str.isprintable` of one character.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    // Rust escapes the same classes; a mark that joins the character before it, too, but not behind one.
    let behind: [char; 2] = ['a', character];
    let behind: String = behind.iter().collect();
    behind.escape_debug().nth(1) == Some(character)
}
