// SPDX-License-Identifier: GPL-2.0

//! Counters that each CPU has a copy of, so that counting does not share a cache line.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use core::ptr::NonNull;

use kernel::prelude::*;

use crate::bindings;

/// `N` counters of 64 bits, one copy for each CPU, all 0 at first.
///
/// # Invariants
///
/// `counters` is a per-CPU allocation of `N` zero-initialised `u64` that this owns.
pub(crate) struct Counters<const N: usize> {
    counters: NonNull<u64>,
}

// SAFETY: A per-CPU allocation may be used and freed from any thread.
unsafe impl<const N: usize> Send for Counters<N> {}

// SAFETY: `add` changes the copy of the CPU that it runs on, in one instruction or with interrupts
// off; `sum` reads each copy as a whole on a 64-bit machine, and on others may see halves of two values.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// Allocates the counters. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Allocation has no requirements.
        let counters = unsafe { bindings::netflow_alloc_percpu_u64(N) };
        // INVARIANT: The allocation is new, and `__alloc_percpu` zeroes it.
        Ok(Self {
            counters: NonNull::new(counters).ok_or(ENOMEM)?,
        })
    }

    /// Adds `n` to counter `i`. Does nothing if there is no such counter. Any context.
    #[inline]
    pub(crate) fn add(&self, i: usize, n: u64) {
        if i < N {
            // SAFETY: `i` is within the allocation by the check and the type invariant.
            unsafe { bindings::netflow_this_cpu_add(self.counters.as_ptr(), i, n) }
        }
    }

    /// Adds `n` to counter `i` and `m` to the one behind it. Does nothing if there are no such counters.
    /// Any context.
    #[inline]
    pub(crate) fn add_pair(&self, i: usize, n: u64, m: u64) {
        if i.wrapping_add(1) < N {
            // SAFETY: Both are within the allocation by the check and the type invariant.
            unsafe { bindings::netflow_this_cpu_add_pair(self.counters.as_ptr(), i, n, m) }
        }
    }

    /// The sum of counter `i` over all CPUs, 0 if there is no such counter. Any context.
    pub(crate) fn sum(&self, i: usize) -> u64 {
        if i < N {
            // SAFETY: `i` is within the allocation by the check and the type invariant.
            unsafe { bindings::netflow_percpu_sum(self.counters.as_ptr(), i) }
        } else {
            0
        }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: The allocation is ours by the type invariant, and nobody can use it any more.
        unsafe { bindings::netflow_free_percpu_u64(self.counters.as_ptr()) }
    }
}
