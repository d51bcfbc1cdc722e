//! What the allocator does with freed memory: keep it.
//!
//! mimalloc gives freed pages back to the system after a second. Here the next block of a file wants them at
//! once, and to have the system clear them again takes up to a fifth of all the time, most of all on virtual
//! machines. A command's memory is bounded by what is under way, so what it keeps is what it needs again.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of mimalloc.h, in milliseconds; -1: never. The bindings have no name for it.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory for the process from now on. Meant for the start, as it is not for several threads.
pub(crate) fn keep_freed_memory() {
    #[expect(unsafe_code, reason = "the allocator's options are C functions")]
    // SAFETY: it sets one of the allocator's numbers, whose index is less than there are options.
    unsafe {
        mi_option_set(PURGE_DELAY, -1);
    }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        let value = || {
            #[expect(unsafe_code, reason = "the allocator's options are C functions")]
            // SAFETY: it reads one of the allocator's numbers.
            unsafe {
                mi_option_get(PURGE_DELAY)
            }
        };
        // The default of this option alone, see options.c.
        assert_eq!(value(), 1000);
        keep_freed_memory();
        assert_eq!(value(), -1);
    }
}
