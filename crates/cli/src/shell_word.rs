//! Words of commands that people copy from what is said.

use std::borrow::Cow;
use std::path::Path;

/// A word as a shell takes it for one.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// A path as a shell takes it for one word.
pub(crate) fn shell_path(path: &Path) -> String {
    shell_word(&path.to_string_lossy()).into_owned()
}
