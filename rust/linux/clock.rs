// SPDX-License-Identifier: GPL-2.0

//! The clocks `CLOCK_BOOTTIME`, `CLOCK_REALTIME` and `CLOCK_MONOTONIC`, and what tells how much
//! time has passed without reading one: the cycle counter of the CPU and the count of ticks.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/asm-generic/timex.h`](srctree/include/asm-generic/timex.h)

use kernel::time::{
    ClockSource,
    Delta,
    Monotonic,
    Msecs, //
};

use crate::bindings;

/// Nanoseconds since boot, suspended time included. Any context.
#[inline(always)]
pub(crate) fn boottime_ns() -> u64 {
    // SAFETY: Reading the clock has no requirements.
    unsafe { bindings::netflow_boottime_ns() }
}

/// Nanoseconds since boot and since 1970, of one reading of the clock. Any context.
pub(crate) fn boottime_and_realtime_ns() -> (u64, u64) {
    let (mut boot, mut real) = (0, 0);
    // SAFETY: Both pointers are valid for writes.
    unsafe { bindings::netflow_clock_pair(&mut boot, &mut real) };
    let ns = |ns: i64| u64::try_from(ns).unwrap_or(0);
    (ns(boot), ns(real))
}

/// The cycle counter of this CPU, 0 if it has none. Any context.
#[inline(always)]
pub(crate) fn cycles() -> u64 {
    // User-mode Linux denies that there is one.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every such CPU has the instruction, and the kernel may use it.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: Reading it has no requirements.
    return unsafe { bindings::netflow_cycles() };
}

/// The number of ticks so far. Any context.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: The kernel writes it as a whole at any time, so it is read as volatile.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u64 }
}

/// A moment of `CLOCK_MONOTONIC`, in nanoseconds.
///
/// `kernel::time::Instant` is not used, as its operators panic on overflow.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(i64);

impl Deadline {
    /// One that has passed.
    pub(crate) const PAST: Self = Self(0);

    /// `wait` milliseconds from now.
    pub(crate) fn after(wait: Msecs) -> Self {
        Self::after_nanos(Delta::from_millis(wait.into()).as_nanos())
    }

    /// `wait` nanoseconds from now.
    pub(super) fn after_nanos(wait: i64) -> Self {
        Self(Monotonic::ktime_get().saturating_add(wait))
    }

    /// Nanoseconds until then, not positive if it has passed.
    pub(super) fn left(self) -> i64 {
        self.0.saturating_sub(Monotonic::ktime_get())
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.left() <= 0
    }
}
