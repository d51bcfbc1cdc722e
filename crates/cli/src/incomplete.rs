//! The last word of a command that did only a part of what it was asked for: what is missing.

use mashbill_format::figures::count;

use crate::printer::Printer;

/// Names that are told.
const NAMES_TOLD: usize = 20;

/// Says that of `all` things, each a `noun`, those with these names are not `done`: `made`.
pub(crate) fn tell_incomplete(noun: &str, done: &str, names: &[&str], all: usize, printer: &Printer) {
    let were = if names.len() == 1 { "was" } else { "were" };
    tell_incomplete_as(noun, &format!("{were} not {done}"), names, all, printer);
    printer.hint("fix what is named above, then run the same command again");
}

/// The same in other words, and without what to do.
pub(crate) fn tell_incomplete_as(noun: &str, what: &str, names: &[&str], all: usize, printer: &Printer) {
    let plural = if all == 1 { "" } else { "s" };
    let shown = names.iter().take(NAMES_TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(NAMES_TOLD) {
        0 => String::new(),
        more => format!(" and {} more", count(more as u64)),
    };
    let (some, all) = (count(names.len() as u64), count(all as u64));
    printer.problem(format_args!("incomplete: {some} of {all} {noun}{plural} {what}: {shown}{more}"));
}
