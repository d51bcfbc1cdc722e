//! Files with data that nobody reads: they are named, so that none is missed.

use crate::hints::ENDINGS;
use crate::printer::{Printer, counted};

/// Files that are named.
const SHOWN: usize = 8;

/// Tells which files hold data of a kind that is not read, if there are any.
pub(crate) fn tell_left_out(files: &[String], printer: &Printer) {
    if files.is_empty() {
        return;
    }
    let named: Vec<&str> = files.iter().take(SHOWN).map(String::as_str).collect();
    let more = match files.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let files = counted(files.len() as u64, "file");
    printer.warning(format_args!("left out: {files} of kinds that are not read: {}{more}", named.join(", ")));
    printer.hint(ENDINGS);
}
