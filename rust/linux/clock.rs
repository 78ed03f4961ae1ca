// SPDX-License-Identifier: GPL-2.0

//! The clocks: `CLOCK_BOOTTIME` for SysUptime, `CLOCK_REALTIME` for the time of day.
//!
//! SysUptime includes the time that the system was suspended, so that a collector, which computes
//! the boot time of the exporter as the difference of the two clocks, finds it unchanged.
//!
//! Reading a clock takes as long as half of the rest that is done for a packet. Where packets come one
//! upon the other, most take the time from the one before: see [`Reading::is_recent`].
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/asm-generic/timex.h`](srctree/include/asm-generic/timex.h)

use pin_init::Zeroable;

use super::rwonce::RwOnce;
use crate::{
    bindings,
    flow::uptime::{
        validity,
        Uptime, //
    },
    module_parameters, //
};

const NSEC_PER_MSEC: u64 = 1_000_000;

/// The clocks, as the load parameters set them.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Milliseconds that SysUptime is ahead, to test what happens when it wraps.
    offset: u64,
    /// Nanoseconds by which the milliseconds of the time of day begin earlier than those since boot:
    /// SysUptime's begin with them. Collectors take the difference of the two for the time of boot, in whole
    /// milliseconds; so it is, and always the same.
    phase: u64,
}

impl Clock {
    /// The clocks. Process context. Two of them may differ by a millisecond, when the time of day was
    /// corrected meanwhile: make one, and copy it.
    pub(crate) fn new() -> Self {
        let (boot, real) = both();
        Self {
            offset: module_parameters::uptime_offset.value().into(),
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
        // SAFETY: Reading the clock has no requirements.
        self.at(unsafe { bindings::netflow_boottime_ns() })
    }

    /// SysUptime now. `reading` is the one of this CPU, with softirqs off, and will be recent.
    pub(crate) fn read(&self, reading: &Reading) -> Uptime {
        let (cycles, jiffies) = (cycles(), jiffies());
        // SAFETY: Reading the clock has no requirements.
        let ns = unsafe { bindings::netflow_boottime_ns() };
        let after = self::cycles();
        let uptime = Uptime::from_millis(self.at(ns));
        let elapsed = ns.wrapping_sub(reading.ns.read());
        // From behind the former reading of the clock to before this one: should the machine have been held up
        // between clock and counter, the counter seems slower than it is, never faster.
        let counted = cycles.wrapping_sub(reading.cycles_after.read());
        // Too soon to tell how fast the counter is: the next packet may.
        if let Some(validity) = validity(counted, elapsed) {
            reading.validity.write(validity);
            reading.ns.write(ns);
            reading.cycles.write(cycles);
            reading.cycles_after.write(after);
            reading.jiffies.write(jiffies);
            reading.millis.write(uptime.as_millis().into());
        }
        uptime
    }

    /// Milliseconds of SysUptime at nanoseconds since boot.
    #[inline(always)]
    fn at(&self, ns: u64) -> u64 {
        (ns.wrapping_add(self.phase) / NSEC_PER_MSEC).wrapping_add(self.offset)
    }

    /// SysUptime and nanoseconds since 1970, of one moment: the beginning of a millisecond. Any context.
    pub(crate) fn uptime_and_wall(&self) -> (Uptime, u64) {
        let (boot, real) = both();
        let since = boot.wrapping_add(self.phase) % NSEC_PER_MSEC;
        let uptime = Uptime::from_millis(self.at(boot));
        (uptime, real.saturating_sub(since))
    }
}

/// Nanoseconds since boot and since 1970, of one reading of the clock. Any context.
fn both() -> (u64, u64) {
    let (mut boot, mut real) = (0, 0);
    // SAFETY: Both pointers are valid for writes.
    unsafe { bindings::netflow_clock_pair(&mut boot, &mut real) };
    let nanos = |ns: i64| u64::try_from(ns).unwrap_or(0);
    (nanos(boot), nanos(real))
}

/// What a CPU has read of the clock, and when. One CPU writes it, with softirqs off.
#[derive(Zeroable)]
pub(crate) struct Reading {
    /// When it was about to be read, by the CPU's cycle counter.
    cycles: RwOnce<u64>,
    /// The cycle counter when it had been read.
    cycles_after: RwOnce<u64>,
    /// When it was read, by the tick.
    jiffies: RwOnce<u64>,
    /// For how many cycles it holds.
    validity: RwOnce<u64>,
    /// The clock, in nanoseconds.
    ns: RwOnce<u64>,
    /// SysUptime.
    millis: RwOnce<u64>,
}

impl Reading {
    /// Whether this was read just now: up to a quarter of a millisecond ago.
    ///
    /// The time that was read last holds as long as the CPU's cycle counter says that it is young. Should
    /// the counter stop while the CPU sleeps, as old ones do, the tick ends it.
    #[inline(always)]
    pub(crate) fn is_recent(&self) -> bool {
        cycles().wrapping_sub(self.cycles.read()) < self.validity.read()
            && jiffies() == self.jiffies.read()
    }

    /// SysUptime when it was read.
    #[inline(always)]
    pub(crate) fn uptime(&self) -> Uptime {
        Uptime::from_millis(self.millis.read())
    }
}

/// The CPU's cycle counter. 0 if it has none.
#[inline(always)]
fn cycles() -> u64 {
    // User-mode Linux denies that there is one.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every such CPU has the instruction, and the kernel may use it.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: Reading it has no requirements.
    return unsafe { bindings::netflow_cycles() };
}

/// The number of ticks so far.
#[inline(always)]
fn jiffies() -> u64 {
    // SAFETY: The kernel writes it as a whole at any time, so it is read as volatile.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u64 }
}
