//! Data, on stdout: the one door.
//!
//! Who reads may stop early (`| head`), and the disk behind may be full. The first ends a command quietly, the second
//! with an error; neither with a panic.

#![expect(clippy::disallowed_methods, reason = "this is the door they are kept for")]

use std::fmt::Display;
use std::io::{self, StdoutLock, Write};

use anstream::AutoStream;
use anstyle::Style;
use anyhow::Result;
use serde::Serialize;

use crate::shown::{Shown, shown_json};

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritten {
    /// Whoever reads has what he wanted.
    #[error("stdout is closed")]
    Closed,
    /// It cannot be taken: a full disk.
    #[error("cannot write to stdout")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failed(error) }
    }
}

/// stdout, for text that is written piece by piece.
pub(crate) struct Out(AutoStream<StdoutLock<'static>>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(anstream::stdout().lock())
    }

    /// Whether colors are shown.
    pub(crate) fn is_colored(&self) -> bool {
        !matches!(anstream::AutoStream::choice(&io::stdout()), anstream::ColorChoice::Never)
    }

    /// Text, with what steers a terminal spelled.
    pub(crate) fn text(&mut self, text: impl Display) -> Result<(), Unwritten> {
        Ok(write!(self.0, "{}", Shown(text))?)
    }

    /// The same in a style.
    pub(crate) fn styled(&mut self, style: Style, text: impl Display) -> Result<(), Unwritten> {
        Ok(write!(self.0, "{style}{}{style:#}", Shown(text))?)
    }

    /// The same with the end of its line.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Unwritten> {
        Ok(writeln!(self.0, "{}", Shown(text))?)
    }

    /// Text that has lines of its own.
    pub(crate) fn lines(&mut self, text: &str) -> Result<(), Unwritten> {
        text.split('\n').try_for_each(|line| self.line(line))
    }

    /// Waits until all of it was taken.
    pub(crate) fn finish(mut self) -> Result<(), Unwritten> {
        Ok(self.0.flush()?)
    }
}

/// Writes `value` as JSON: a command's last word, so that a closed stdout is no reason to end otherwise.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    let mut text = shown_json(&serde_json::to_string_pretty(value)?);
    text.push('\n');
    match write_all(&text) {
        Err(Unwritten::Closed) => Ok(()),
        written => Ok(written?),
    }
}

/// Writes clap's help, which has colors of its own where `text` has.
pub(crate) fn help(text: &str) -> Result<(), Unwritten> {
    write_all(text)
}

fn write_all(text: &str) -> Result<(), Unwritten> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
