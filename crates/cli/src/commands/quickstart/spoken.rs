//! A command that is said before it is run: what the user reads is what is parsed.

use anyhow::Result;
use clap::{Args, Command};

use crate::printer::Printer;

/// Says a command and parses its words, as if it had been typed.
pub(super) fn spoken<A: Args>(name: &'static str, words: &[&str], printer: &Printer) -> Result<A> {
    printer.line(format_args!("running: mashbill {name} {}", words.join(" ")));
    let command = A::augment_args(Command::new(name).no_binary_name(true));
    Ok(A::from_arg_matches(&command.try_get_matches_from(words)?)?)
}
