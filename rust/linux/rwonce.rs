// SPDX-License-Identifier: GPL-2.0

//! A word that one writes and many read, whole, in no order with anything else: `READ_ONCE()` and
//! `WRITE_ONCE()`.
//!
//! A relaxed load of the kernel crate's `Atomic` is the same, but a call into C; this is for what
//! each packet reads.
//!
//! C header: [`include/asm-generic/rwonce.h`](srctree/include/asm-generic/rwonce.h)

use core::cell::UnsafeCell;

use kernel::sync::atomic::Atomic;
use pin_init::Zeroable;

/// The value of an atomic. Any context.
#[inline(always)]
pub(crate) fn read_once(atomic: &Atomic<u64>) -> u64 {
    // SAFETY: Valid and aligned. As for `RwOnce`: the kernel's own atomics are written by single
    // instructions, on a 64-bit machine; others may read halves of two values, and both are
    // numbers.
    unsafe { atomic.as_ptr().cast::<u64>().read_volatile() }
}

/// Such a word, as wide as a register at most.
#[repr(transparent)]
pub(crate) struct RwOnce<T: Copy>(UnsafeCell<T>);

// SAFETY: The word is only accessed by volatile loads and stores of its whole, which do not tear.
unsafe impl Sync for RwOnce<u32> {}

// SAFETY: As above.
unsafe impl Sync for RwOnce<bool> {}

// SAFETY: As above on a 64-bit machine. Others may read halves of two values, and both are numbers.
unsafe impl Sync for RwOnce<u64> {}

// SAFETY: A newtype around a number.
unsafe impl<T: Copy + Zeroable> Zeroable for RwOnce<T> {}

impl<T: Copy> RwOnce<T> {
    /// A word that holds `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads it. Any context.
    #[inline(always)]
    pub(crate) fn read(&self) -> T {
        // SAFETY: Valid and aligned. A store at the same time is volatile too: as in C, one or the
        // other value is read.
        unsafe { self.0.get().read_volatile() }
    }

    /// Writes it. Any context.
    #[inline(always)]
    pub(crate) fn write(&self, value: T) {
        // SAFETY: As for `read`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

impl RwOnce<u64> {
    /// Adds to it, for the only one who writes it. Any context.
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        self.write(self.read().wrapping_add(n));
    }
}
