//! Ctrl-C: what is under way is finished and kept; a second one ends at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};

use crate::printer::Printer;

/// A flag that Ctrl-C raises. A program that runs several commands has one for all of them.
pub(crate) fn flag(printer: &Printer) -> Result<Arc<AtomicBool>> {
    static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
    let quiet = printer.is_quiet();
    let handler = ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        Printer::new(quiet).line("interrupted: finishing what is under way (Ctrl-C again to stop at once)");
    });
    // The first command has set the handler.
    if let Err(error) = handler
        && !matches!(error, ctrlc::Error::MultipleHandlers)
    {
        return Err(error).context("cannot handle Ctrl-C");
    }
    Ok(Arc::clone(&INTERRUPTED))
}
