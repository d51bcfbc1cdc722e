//! What the command waits for, said while it waits: silence looks like a hang.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use mashbill_hub::Waiting;

use crate::printer::Printer;

/// How often it is said.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Does something with the Hub, and says every ten seconds what it waits for.
pub(crate) fn watched<T>(waiting: &Waiting, printer: &Printer, act: impl FnOnce() -> T) -> T {
    let (ended, end) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while end.recv_timeout(SAY_EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Some((what, since)) = waiting.now().filter(|(_, since)| *since >= SAY_EVERY / 2) {
                    printer.line(format_args!("waiting for {what}, {} s so far", since.as_secs()));
                }
            }
        });
        let done = act();
        // The watch ends where nobody can send any more.
        drop(ended);
        done
    })
}
