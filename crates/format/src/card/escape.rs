//! Names of others' in YAML and in Markdown.

use std::fmt::Write as _;

/// The most characters of a text that are shown: a license may be called anything.
const CHARS_SHOWN: usize = 300;

/// A text as YAML in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // What is no character of YAML, ends a line to some reader, or steers.
            _ if character.is_control() || is_unseen(character) => push_code(&mut quoted, character),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text in a cell of a Markdown table, where it is nothing but text.
pub(super) fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for character in text.chars().take(CHARS_SHOWN) {
        match character {
            '&' => cell.push_str("&amp;"),
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~'
            | '$' | '@' | ':' => cell.extend(['\\', character]),
            _ if character.is_control() || is_unseen(character) => {
                cell.push('\\');
                push_code(&mut cell, character);
            }
            _ => cell.push(character),
        }
    }
    if text.chars().nth(CHARS_SHOWN).is_some() {
        cell.push('…');
    }
    cell
}

fn push_code(text: &mut String, character: char) {
    let code = u32::from(character);
    let written = if code > 0xffff { write!(text, "\\U{code:08x}") } else { write!(text, "\\u{code:04x}") };
    written.expect("a text takes what is written");
}

/// Line ends of Unicode's, byte order marks, code points that are no characters, and what changes the direction of a text.
const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fdd0}'..='\u{fdef}'
    ) || character as u32 & 0xfffe == 0xfffe
}
