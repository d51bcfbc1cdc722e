//! What to type next where the arguments are none.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What to type instead of the arguments of `command` that `error` is about.
pub(crate) fn arguments_hint(error: &clap::Error, command: Option<&str>) -> String {
    let Some(command) = command else { return "`mashbill --help` lists the commands".into() };
    match (command, stray_word(error)) {
        ("tokenize", Some(word)) => format!("`mashbill tokenize --input {word}`"),
        ("download", Some(word)) => format!("`mashbill download --dataset {word}`"),
        ("quickstart", Some(word)) => format!("`mashbill quickstart --output {word}`"),
        ("doctor", Some(word)) => format!("`mashbill doctor --output {word}`"),
        _ => format!("`mashbill {command} --help` says what it takes"),
    }
}

/// A word without a flag before it, of a command that takes none.
fn stray_word(error: &clap::Error) -> Option<&str> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => Some(word),
        _ => None,
    }
}
