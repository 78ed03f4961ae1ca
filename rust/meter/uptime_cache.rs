// SPDX-License-Identifier: GPL-2.0

//! SysUptime as a CPU has read it last.
//!
//! Reading the clock takes as long as half of the rest that is done for a packet. Back-to-back
//! packets take the time of the one before instead, while it is young: up to a quarter of a
//! millisecond, by the CPU's cycle counter.

use crate::{
    export::clock::Clock,
    flow::uptime::{
        validity,
        Uptime, //
    },
    linux::clock::{
        boottime_ns,
        cycles,
        jiffies, //
    },
};

/// What the clock said, and when it was read.
#[derive(Default)]
pub(super) struct UptimeCache {
    uptime: Uptime,
    /// The cycle counter just before it was read.
    cycles: u64,
    /// The cycle counter just after.
    cycles_after: u64,
    /// The count of ticks just before.
    jiffies: u64,
    /// For how many cycles it may be used.
    validity: u64,
    /// Nanoseconds since boot.
    ns: u64,
}

impl UptimeCache {
    /// Whether it may be used. Should the cycle counter stop while the CPU sleeps, as old ones do,
    /// the next tick ends it.
    #[inline(always)]
    pub(super) fn is_recent(&self) -> bool {
        cycles().wrapping_sub(self.cycles) < self.validity && jiffies() == self.jiffies
    }

    /// SysUptime when it was read.
    #[inline(always)]
    pub(super) fn uptime(&self) -> Uptime {
        self.uptime
    }

    /// Reads the clock.
    pub(super) fn read(&mut self, clock: &Clock) -> Uptime {
        let (cycles_before, jiffies) = (cycles(), jiffies());
        let ns = boottime_ns();
        let cycles_after = cycles();
        let uptime = Uptime::from_millis(clock.millis_at(ns));
        let elapsed = ns.wrapping_sub(self.ns);
        // From after the former reading to before this one: should the machine have been held up
        // between clock and counter, the counter seems slower than it is, never faster.
        let counted = cycles_before.wrapping_sub(self.cycles_after);
        // If it is too soon to tell how fast the counter is, the next packet may.
        if let Some(validity) = validity(counted, elapsed) {
            *self = Self {
                uptime,
                cycles: cycles_before,
                cycles_after,
                jiffies,
                validity,
                ns,
            };
        }
        uptime
    }
}
