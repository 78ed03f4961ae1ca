// SPDX-License-Identifier: GPL-2.0

//! Data that each CPU has a copy of, so that using it does not share a cache line.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use core::ptr::NonNull;

use kernel::prelude::*;
use pin_init::Zeroable;

use super::bh_lock::BhDisabled;
use crate::bindings;

/// How many CPUs run now.
pub(crate) fn cpus_online() -> u32 {
    // SAFETY: Reading it has no requirements.
    unsafe { bindings::netflow_cpus_online() }
}

/// One more than the highest number of a CPU.
pub(crate) fn cpus() -> u32 {
    // SAFETY: It is set at boot, and only read then.
    unsafe { bindings::nr_cpu_ids }
}

/// The number of this CPU.
#[inline]
pub(crate) fn this_cpu(_softirqs: BhDisabled<'_>) -> u32 {
    // SAFETY: Reading it has no requirements.
    unsafe { bindings::netflow_this_cpu() }
}

/// A `T` for each CPU, all zero at first.
///
/// # Invariants
///
/// `each` is a per-CPU allocation, zeroed at first, of a `T` that this owns.
pub(crate) struct PerCpu<T: Zeroable + Sync> {
    each: NonNull<T>,
}

// SAFETY: A per-CPU allocation may be used and freed from any thread, and a `T` is shared by reference
// only. It needs no drop, being all zero.
unsafe impl<T: Zeroable + Sync> Send for PerCpu<T> {}

// SAFETY: As above.
unsafe impl<T: Zeroable + Sync> Sync for PerCpu<T> {}

impl<T: Zeroable + Sync> PerCpu<T> {
    /// Allocates them. Process context.
    pub(crate) fn new() -> Result<Self> {
        const { assert!(!core::mem::needs_drop::<T>()) };
        // SAFETY: Allocation has no requirements.
        let each = unsafe { bindings::netflow_alloc_percpu(size_of::<T>(), align_of::<T>()) };
        // INVARIANT: The allocation is new, and zeroed; that makes a `T`.
        Ok(Self {
            each: NonNull::new(each.cast()).ok_or(ENOMEM)?,
        })
    }

    /// That of this CPU. While softirqs are off nobody else writes it but hard interrupts; others may read it, and write it
    /// when the CPU is turned off.
    #[inline(always)]
    pub(crate) fn this<'a>(&'a self, _softirqs: BhDisabled<'a>) -> &'a T {
        // SAFETY: The allocation is valid by the type invariant, so each CPU's part is, and `T` may be
        // shared.
        unsafe { &*bindings::netflow_this_cpu_ptr(self.each.as_ptr().cast()).cast() }
    }

    /// That of a CPU. Any context.
    pub(crate) fn of(&self, cpu: u32) -> Option<&T> {
        if cpu >= cpus() {
            return None;
        }
        // SAFETY: The allocation is valid by the type invariant, and `cpu` in range. It is NULL for a
        // CPU that cannot be, else valid as in `this`.
        unsafe {
            bindings::netflow_per_cpu_ptr(self.each.as_ptr().cast(), cpu)
                .cast::<T>()
                .as_ref()
        }
    }

    /// Those of all CPUs. Any context.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..cpus()).filter_map(|cpu| self.of(cpu))
    }
}

impl<T: Zeroable + Sync> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: The allocation is ours by the type invariant, and nobody can use it any more.
        unsafe { bindings::netflow_free_percpu(self.each.as_ptr().cast()) }
    }
}
