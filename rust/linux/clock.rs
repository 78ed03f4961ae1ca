// SPDX-License-Identifier: GPL-2.0

//! The clocks: `CLOCK_BOOTTIME` for SysUptime, `CLOCK_REALTIME` for the time of day.
//!
//! SysUptime includes the time that the system was suspended, so that a collector, which computes
//! the boot time of the exporter as the difference of the two clocks, finds it unchanged.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use crate::{
    bindings,
    flow::clock::Uptime,
    module_parameters, //
};

const NSEC_PER_MSEC: u64 = 1_000_000;

/// The clocks, as the load parameters set them.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Milliseconds that SysUptime is ahead, to test what happens when it wraps.
    offset: u64,
}

impl Clock {
    /// The clocks. Process context.
    pub(crate) fn new() -> Self {
        Self {
            offset: module_parameters::uptime_offset.value().into(),
        }
    }

    /// SysUptime now. Any context.
    #[inline(always)]
    pub(crate) fn uptime(&self) -> Uptime {
        // SAFETY: Reading the clock has no requirements.
        let ns = unsafe { bindings::netflow_boottime_ns() };
        self.at(ns)
    }

    /// SysUptime at nanoseconds since boot.
    #[inline(always)]
    fn at(&self, ns: u64) -> Uptime {
        Uptime::from_millis((ns / NSEC_PER_MSEC).wrapping_add(self.offset))
    }

    /// SysUptime and nanoseconds since 1970, of one reading of the clock. Any context.
    pub(crate) fn uptime_and_wall(&self) -> (Uptime, u64) {
        let (mut boot, mut real) = (0, 0);
        // SAFETY: Both pointers are valid for writes.
        unsafe { bindings::netflow_clock_pair(&mut boot, &mut real) };
        let boot = u64::try_from(boot).unwrap_or(0);
        let real = u64::try_from(real).unwrap_or(0);
        (self.at(boot), real)
    }
}
