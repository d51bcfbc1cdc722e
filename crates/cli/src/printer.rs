//! Talk, on stderr: the one door. Colors go where a terminal shows them and `NO_COLOR` is not set; what would steer the
//! terminal is spelled.

#![expect(clippy::disallowed_methods, reason = "this is the door they are kept for")]

use std::error::Error;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use mashbill_format::figures::counted;

use crate::hints::hint;
use crate::shown::{Shown, steers};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// What to do about an error that nobody foresaw.
const REPORT_IT: &str = "`mashbill doctor` says what is missing on this machine; if that is nothing, open an issue with this line";

/// The longest line of talk in characters: a name, or what a server says, may have megabytes.
const LINE_CHARS_MAX: usize = 4000;

/// The one place that knows how loud to be.
#[derive(Debug)]
pub(crate) struct Printer {
    quiet: bool,
}

impl Printer {
    pub(crate) const fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether bars can be drawn.
    pub(crate) fn has_bars(&self) -> bool {
        std::io::stderr().is_terminal() && !self.quiet
    }

    /// A line of talk.
    pub(crate) fn line(&self, text: impl Display) {
        if !self.quiet {
            print(format_args!("{}\n", line_of(text)));
        }
    }

    /// Talk that has lines of its own.
    pub(crate) fn lines(&self, text: &str) {
        text.split('\n').for_each(|line| self.line(line));
    }

    /// A line that says that something went well, after a green word.
    pub(crate) fn good(&self, word: &str, text: impl Display) {
        if !self.quiet {
            print(format_args!("{GOOD}{word}{GOOD:#} {}\n", line_of(text)));
        }
    }

    /// A warning; it is printed when quiet, too.
    pub(crate) fn warning(&self, text: impl Display) {
        print(format_args!("{WARNING}warning:{WARNING:#} {}\n", line_of(text)));
    }

    /// Something that `verify` found; it is printed when quiet, too.
    pub(crate) fn problem(&self, text: impl Display) {
        print(format_args!("{ERROR}error:{ERROR:#} {}\n", line_of(text)));
    }

    /// What to type next.
    pub(crate) fn hint(&self, text: impl Display) {
        print(format_args!("{HINT}hint:{HINT:#} {}\n", line_of(text)));
    }

    /// An error with its causes and, on a line of its own, what to do.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.problem(error_text(error.as_ref()));
        self.hint(hint(error).unwrap_or_else(|| REPORT_IT.into()));
    }
}

/// What is wrong with a command line, as the parser of arguments has it: with its colors, unless an argument would steer
/// the terminal.
pub(crate) fn usage(error: &clap::Error, hint: &str) {
    let rendered = error.render();
    let plain = rendered.to_string();
    if plain.chars().any(|character| character != '\n' && steers(character)) {
        without_end(&plain).split('\n').for_each(|line| print(format_args!("{}\n", Shown(line))));
    } else {
        print(format_args!("{}\n", without_end(&rendered.ansi().to_string())));
    }
    if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        Printer::new(false).hint(hint);
    }
}

/// What the parser says, without its last line: the hint says more.
fn without_end(said: &str) -> &str {
    said.rfind("\n\nFor more information").map_or(said, |end| &said[..end]).trim_end()
}

/// The error and its causes on one line.
pub(crate) fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // A transparent error says the same as its source.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// A line of talk: what steers is spelled, and what is too long cut.
fn line_of(text: impl Display) -> String {
    let mut line = Shown(text).to_string();
    if let Some((end, _)) = line.char_indices().nth(LINE_CHARS_MAX) {
        let more = line[end..].chars().count();
        line.truncate(end);
        line.push_str(&format!("… and {} more", counted(more as u64, "character")));
    }
    line
}

fn print(text: std::fmt::Arguments<'_>) {
    // Where stderr is closed nobody is there to be told.
    drop(anstream::stderr().lock().write_fmt(text));
}
