//! Tokens as people read them.
//!
//! Byte-level vocabularies spell each byte as a printable character (GPT-2's table:
//! a space is `Ġ`); others write `▁` for a space. One token may be part of a
//! character, which shows as U+FFFD.

/// The bytes that the entry `token` of a byte-level vocabulary stands for.
pub(super) fn bytes_of(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// The text of the vocabulary entry `token`.
pub(super) fn text_of(token: &str) -> String {
    match bytes_of(token) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => token.replace('▁', " "),
    }
}

/// The byte that a character stands for in GPT-2's table: printable bytes stand for themselves, the
/// others, in order, for the characters from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_text() {
        let entries = ["Ġhello", "Ċ", "<|endoftext|>", "Ã©", "▁the", "ĠĠ", "Ń", "ł"];
        let texts = [" hello", "\n", "<|endoftext|>", "é", " the", "  ", "\u{FFFD}", "\u{FFFD}"];
        assert_eq!(entries.map(text_of), texts);
    }
}
