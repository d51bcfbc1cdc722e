//! Large tables on huge pages.
//!
//! Look-ups in tables of megabytes touch a page each, and with pages of 4 KiB finding the page costs
//! as much as reading it, above all on a virtual machine. The kernel is asked for huge ones where it
//! only gives them on request (Linux, `madvise`); it may decline, and elsewhere nothing is asked,
//! with no effect but on speed. Where look-ups are known in advance, [`prefetch`] lets them wait for
//! memory together.

use std::ops::{Deref, DerefMut};

/// The size of a huge page on the usual machines, in bytes.
const HUGE: usize = 2 << 20;

/// A slice of fixed length that begins on a huge page.
#[derive(Debug)]
pub(crate) struct Table<T> {
    all: Vec<T>,
    /// Elements before the first huge page: unused.
    offset: usize,
}

impl<T: Copy> Table<T> {
    /// `len` times `fill`.
    pub(crate) fn new(fill: T, len: usize) -> Self {
        Self::from_fn(|| fill, len)
    }
}

impl<T> Table<T> {
    /// `len` times what `fill` gives.
    pub(crate) fn from_fn(fill: impl Fn() -> T, len: usize) -> Self {
        let size = size_of::<T>().max(1);
        if len * size < HUGE / 2 {
            return Self { all: std::iter::repeat_with(fill).take(len).collect(), offset: 0 };
        }
        // Room to begin at a huge page and to end with one; what isn't touched takes no memory.
        let mut all: Vec<T> = Vec::with_capacity(len + 2 * HUGE.div_ceil(size));
        let start = all.as_ptr().addr();
        let first = start.next_multiple_of(HUGE);
        let offset = (first - start).div_ceil(size);
        advise(&mut all, first - start, (len * size + size).next_multiple_of(HUGE));
        all.resize_with(offset + len, fill);
        Self { all, offset }
    }
}

/// Asks for huge pages for `len` bytes of the vector's memory, from `offset` on.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the advice is a system call")]
fn advise<T>(all: &mut Vec<T>, offset: usize, len: usize) {
    assert!(offset + len <= all.capacity() * size_of::<T>());
    let start = all.as_mut_ptr().cast::<u8>().wrapping_add(offset);
    // SAFETY: the range lies within memory that the vector owns, by the assertion, and this advice
    // never changes what memory holds. An error (no such feature) leaves things as they are.
    unsafe { libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &mut Vec<T>, _: usize, _: usize) {}

impl<T> Deref for Table<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.all[self.offset..]
    }
}

impl<T> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[self.offset..]
    }
}

/// Has the processor fetch an item of a table into its cache, on machines where that can be asked for.
#[inline(always)]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "there is no safe way to ask"))]
pub(crate) fn prefetch<T>(table: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, wherever it points, and all processors of this kind have it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(table.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_all_sizes_hold_what_they_are_filled_with() {
        for len in [0, 1, 1000, 43_690, 43_691, 100_000, 1 << 20] {
            let mut table = Table::new([7_u64; 3], len);
            assert_eq!(table.len(), len);
            assert!(table.iter().all(|item| *item == [7; 3]));
            if let Some(last) = table.last_mut() {
                *last = [8; 3];
                assert_eq!(table[len - 1], [8; 3]);
            }
        }
        assert_eq!(Table::new(1_u64, 1 << 20).as_ptr().addr() % HUGE, 0);
    }
}
