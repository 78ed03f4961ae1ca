// SPDX-License-Identifier: GPL-2.0

//! SysUptime: the clock of flows and datagrams.
//!
//! It includes the time that the system was suspended, so that a Collector, which computes the boot
//! time of the exporter as the difference of the two times in a datagram's header, finds it
//! unchanged.

use super::format::ExportTime;
use crate::{
    flow::uptime::Uptime,
    linux::clock::{
        boottime_and_realtime_ns,
        boottime_ns, //
    },
};

const NSEC_PER_MSEC: u64 = 1_000_000;

/// SysUptime, as it relates to the system's clocks.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Milliseconds that SysUptime is ahead, to test what happens when it wraps.
    offset: u64,
    /// The time of day less the time since boot, modulo 1 ms, in nanoseconds. It is added to the
    /// time since boot, so that SysUptime and the time of day begin their milliseconds together:
    /// their difference in whole milliseconds is the same in each datagram.
    phase: u64,
}

impl Clock {
    /// The clock, `offset` milliseconds ahead. Process context. Two of them may differ by a
    /// millisecond, when the time of day was corrected meanwhile: make one, and copy it.
    pub(crate) fn new(offset: u32) -> Self {
        let (boot, real) = boottime_and_realtime_ns();
        Self {
            offset: offset.into(),
            phase: real.wrapping_sub(boot) % NSEC_PER_MSEC,
        }
    }

    /// SysUptime now. Any context.
    #[inline(always)]
    pub(crate) fn uptime(&self) -> Uptime {
        Uptime::from_millis(self.millis())
    }

    /// The same, in 64 bits.
    pub(crate) fn millis(&self) -> u64 {
        self.millis_at(boottime_ns())
    }

    /// When SysUptime was 0, by the time of day as it is now, in milliseconds since 1970.
    pub(crate) fn init_time(&self) -> u64 {
        let (boot, real) = boottime_and_realtime_ns();
        (self.begun(boot, real) / NSEC_PER_MSEC).saturating_sub(self.millis_at(boot))
    }

    /// SysUptime, in 64 bits, at nanoseconds since boot.
    #[inline(always)]
    pub(crate) fn millis_at(&self, boottime_ns: u64) -> u64 {
        (boottime_ns.wrapping_add(self.phase) / NSEC_PER_MSEC).wrapping_add(self.offset)
    }

    /// The beginning of this millisecond. Any context.
    pub(crate) fn export_time(&self) -> ExportTime {
        let (boot, real) = boottime_and_realtime_ns();
        ExportTime {
            uptime: Uptime::from_millis(self.millis_at(boot)),
            wall: self.begun(boot, real),
        }
    }

    /// The time of day when this millisecond of SysUptime began.
    fn begun(&self, boot: u64, real: u64) -> u64 {
        real.saturating_sub(boot.wrapping_add(self.phase) % NSEC_PER_MSEC)
    }
}
