//! Ctrl-C: what is under way is finished and kept; a second one ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::printer::Printer;

/// A flag that Ctrl-C raises.
pub(crate) fn flag(printer: &Printer) -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let quiet = printer.is_quiet();
    let handler = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        Printer::new(quiet).line("interrupted: finishing what is under way (Ctrl-C again to stop at once)");
    });
    // A program that runs two commands has its handler from the first one.
    if let Err(error) = handler
        && !matches!(error, ctrlc::Error::MultipleHandlers)
    {
        return Err(error).context("handle Ctrl-C");
    }
    Ok(interrupted)
}
