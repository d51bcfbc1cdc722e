//! A source as the ratchets see it: code, comments, words, functions.
//!
//! No parser: strings and comments are blanked, and braces matched. That is exact as long as no macro makes functions, and
//! none does.

/// A source with what was found in it.
#[derive(Debug)]
pub(super) struct Source {
    /// From the workspace's folder.
    pub(super) path: String,
    pub(super) lines: usize,
    /// The text with strings, characters and comments blanked, line by line as long as before.
    pub(super) code: String,
    /// The comments, everything else blanked.
    pub(super) comments: String,
    /// Where lines end within strings, in `code`.
    text_ends: Vec<usize>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, comments, text_ends) = blanked(text);
        Self { path: path.to_owned(), lines: text.lines().count(), code, comments, text_ends }
    }

    /// Whether all of it is for tests and for who looks on.
    pub(super) fn is_test(&self) -> bool {
        let folders = ["/tests/", "/examples/"];
        folders.iter().any(|folder| self.path.contains(folder)) || self.path.ends_with("/tests.rs")
    }

    /// The code without modules for tests.
    pub(super) fn without_tests(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let mut code = self.code.clone();
        while let Some(at) = ["#[cfg(test)]", "#[cfg(all(test"].iter().find_map(|only| code.find(only)) {
            let end = item_end(&code, at + 1);
            let blank: String = code[at..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            code.replace_range(at..end, &blank);
        }
        code
    }

    pub(super) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// The end of the item that begins behind `at`: behind its braces, or its semicolon where it has none.
pub(super) fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if c == '}' && depth == 0 {
                    return at + offset + 1;
                }
            }
            ';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// Code and comments of a text, each with everything else blanked, and where lines end within strings.
fn blanked(text: &str) -> (String, String, Vec<usize>) {
    let (mut code, mut comments, mut text_ends) = (String::new(), String::new(), Vec::new());
    let mut rest = text;
    let blank = |piece: &str, into: &mut String| {
        into.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    };
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let in_word = before.is_alphanumeric() || before == '_';
        let (len, kind) = piece(rest, in_word);
        let (piece, later) = rest.split_at(len);
        let (own, other) = match kind {
            Piece::Code => (&mut code, &mut comments),
            Piece::Comment => (&mut comments, &mut code),
            Piece::Text => {
                let start = code.len();
                blank(piece, &mut code);
                text_ends.extend(code[start..].match_indices('\n').map(|(at, _)| start + at));
                blank(piece, &mut comments);
                (before, rest) = (' ', later);
                continue;
            }
        };
        own.push_str(piece);
        blank(piece, other);
        (before, rest) = (first, later);
    }
    (code, comments, text_ends)
}

enum Piece {
    Code,
    Comment,
    /// A string or a character.
    Text,
}

/// The length of the first piece of `text`.
fn piece(text: &str, in_word: bool) -> (usize, Piece) {
    let until = |end: &str| text.find(end).unwrap_or(text.len());
    if text.starts_with("//") {
        return (until("\n"), Piece::Comment);
    }
    if text.starts_with("/*") {
        let (mut depth, mut at) = (0_usize, 0);
        loop {
            let rest = &text[at..];
            let Some(first) = rest.chars().next() else { return (at, Piece::Comment) };
            (depth, at) = match rest {
                _ if rest.starts_with("/*") => (depth + 1, at + 2),
                _ if rest.starts_with("*/") && depth == 1 => return (at + 2, Piece::Comment),
                _ if rest.starts_with("*/") => (depth - 1, at + 2),
                _ => (depth, at + first.len_utf8()),
            };
        }
    }
    if !in_word {
        let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix)).unwrap_or("");
        let hashes = text[prefix.len()..].len() - text[prefix.len()..].trim_start_matches('#').len();
        let open = prefix.len() + hashes;
        if !prefix.is_empty() && text[open..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = text[open + 1..].find(&close).map_or(text.len(), |at| open + 1 + at + close.len());
            return (end, Piece::Text);
        }
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    if text.starts_with('"') {
        return (quoted(text, '"'), Piece::Text);
    }
    if let Some(inside) = text.strip_prefix('\'') {
        let mut inside = inside.chars();
        let is_character = inside.next() == Some('\\') || inside.next() == Some('\'');
        return if is_character { (quoted(text, '\''), Piece::Text) } else { (first, Piece::Code) };
    }
    (first, Piece::Code)
}

/// The length of what begins with a quote, up to the next one that is not escaped.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Words of the code, with where they stand.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(is_word)?;
        at = start + code[start..].find(|c| !is_word(c)).unwrap_or(code.len() - start);
        Some((start, &code[start..at]))
    })
}

/// A function's place and name, and its lines, from `fn` to the closing brace; a string of many counts as one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
}

/// The functions of `code`, which is `source`'s or a part of it.
pub(super) fn functions(source: &Source, code: &str) -> Vec<Function> {
    let mut all = words(code).peekable();
    let mut found = Vec::new();
    while let Some((at, word)) = all.next() {
        // `fn(u32)` is a type.
        if word != "fn" || !code[at + 2..].starts_with(char::is_whitespace) {
            continue;
        }
        let name = all.peek().map_or("", |(_, name)| *name);
        let end = item_end(code, at);
        // A trait's function may have no body.
        if code[..end].ends_with('}') {
            let line = source.line_of(at);
            let texts = source.text_ends.iter().filter(|text_end| (at..end).contains(*text_end)).count();
            let lines = source.line_of(end - 1) - line + 1 - texts;
            found.push(Function { name: format!("{}:{line}: {name}", source.path), lines });
        }
    }
    found
}
