//! The one door to code of others that may panic over bytes of others.
//!
//! Parsers of foreign formats index out of bounds, overflow and unwrap where bytes contradict themselves. Behind
//! this door that is an error of the file, whichever thread meets it, and nobody sees the panic's own text: it
//! would only frighten. What it can't catch is an abort (memory that is not there, a stack that is too deep), so
//! whoever calls it checks sizes and depths before.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many doors this thread is behind.
    static BEHIND: Cell<usize> = const { Cell::new(0) };
}

/// That code of others panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Calls `work`, which runs code of others over bytes of others. What it was writing to when it panicked is only
/// good to be dropped.
///
/// # Errors
/// [`Panicked`], where it did.
pub fn behind<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    keep_quiet();
    BEHIND.set(BEHIND.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    BEHIND.set(BEHIND.get() - 1);
    outcome.map_err(|_| Panicked)
}

/// Has the process say nothing of panics behind a door; all others are told as before.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if BEHIND.get() == 0 {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_on_every_thread_and_the_next_call_is_as_good_as_the_first() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..50 {
                        let empty: Vec<u8> = Vec::new();
                        assert_eq!(behind(|| empty[number]), Err(Panicked));
                        assert_eq!(behind(|| behind(|| empty[number]).is_err()), Ok(true));
                        assert_eq!(behind(|| number), Ok(number));
                    }
                });
            }
        });
        assert_eq!(BEHIND.get(), 0);
    }
}
