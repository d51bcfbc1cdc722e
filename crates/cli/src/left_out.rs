//! Files with data that nobody reads: they are named, so that none is missed.

use std::path::Path;

use mashbill_format::figures::counted;

use crate::hints::unread_hint;
use crate::printer::Printer;

/// Files that are named.
const SHOWN: usize = 8;

/// Tells which files hold data of a kind that is not read, if there are any.
pub(crate) fn tell_left_out(files: &[String], root: &Path, printer: &Printer) {
    if let Some(first) = files.first() {
        let count = counted(files.len() as u64, "file");
        printer.warning(format_args!("left out: {count} of unsupported kinds: {}", some(files)));
        printer.hint(unread_hint(&root.join(first)));
    }
}

/// Tells which files seem to be no data, if there are any.
pub(crate) fn tell_others(files: &[String], printer: &Printer) {
    if !files.is_empty() {
        let count = counted(files.len() as u64, "file");
        printer.line(format_args!("not read: {count} that seem to be no data: {}", some(files)));
    }
}

/// Tells which folders with input are not entered, if there are any.
pub(crate) fn tell_not_entered(folders: &[String], printer: &Printer) {
    if !folders.is_empty() {
        let (count, are) =
            (counted(folders.len() as u64, "folder"), if folders.len() == 1 { "is" } else { "are" });
        printer.warning(format_args!("left out: {count} with input {are} not entered: {}", some(folders)));
        printer.hint("`--recursive` enters folders");
    }
}

/// The first names, and how many there are more.
fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
