// SPDX-License-Identifier: GPL-2.0

//! A word that one writes and many read, whole, in no order with anything else: `READ_ONCE()` and
//! `WRITE_ONCE()`.
//!
//! A relaxed load of the kernel crate's `Atomic` is the same, but a call into C; this is for what each
//! packet reads.
//!
//! C header: [`include/asm-generic/rwonce.h`](srctree/include/asm-generic/rwonce.h)

use core::cell::UnsafeCell;

/// Such a word.
pub(crate) struct Shared(UnsafeCell<u32>);

// SAFETY: The word is only accessed by volatile loads and stores of its whole, which do not tear.
unsafe impl Sync for Shared {}

impl Shared {
    /// A word that holds `value`.
    pub(crate) const fn new(value: u32) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads it. Any context.
    #[inline(always)]
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: Valid and aligned. A store at the same time is volatile too: as in C, one or the other
        // value is read.
        unsafe { self.0.get().read_volatile() }
    }

    /// Writes it. Any context.
    pub(crate) fn write(&self, value: u32) {
        // SAFETY: As for `read`.
        unsafe { self.0.get().write_volatile(value) }
    }
}
