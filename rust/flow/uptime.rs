// SPDX-License-Identifier: GPL-2.0

//! The time of flows: milliseconds since boot in 32 bits.
//!
//! NetFlow calls this clock SysUptime, and every time in a v5 datagram is a reading of it. It
//! wraps after 49.7 days, so that readings are ordered by their distance, never by their value;
//! that holds for distances below 24.8 days, which the limits on the timeouts ensure.

/// A reading of SysUptime, in milliseconds modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uptime(u32);

impl Uptime {
    /// From milliseconds since boot; what exceeds 32 bits is dropped.
    #[inline]
    pub(crate) const fn from_millis(millis: u64) -> Self {
        // CAST: Modulo 2^32 is what SysUptime means.
        Self(millis as u32)
    }

    /// Milliseconds modulo 2^32, as they stand in a v5 datagram.
    #[inline]
    pub(crate) const fn as_millis(self) -> u32 {
        self.0
    }

    /// Milliseconds from `earlier` to this reading, 0 if it is not earlier.
    ///
    /// CPUs may account packets of one flow in another order than they read the clock, hence
    /// "not earlier" does occur, by some milliseconds.
    #[inline]
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        if self.is_before(earlier) {
            0
        } else {
            self.0.wrapping_sub(earlier.0)
        }
    }

    /// This reading moved on by `millis`, which must be below 2^31.
    #[inline]
    pub(crate) const fn plus(self, millis: u32) -> Self {
        Self(self.0.wrapping_add(millis))
    }

    /// Whether this reading is before `other`.
    #[inline]
    pub(crate) const fn is_before(self, other: Self) -> bool {
        // CAST: The sign of the distance tells the order.
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// The earlier of the two.
    #[inline]
    pub(crate) const fn min(self, other: Self) -> Self {
        if other.is_before(self) {
            other
        } else {
            self
        }
    }
}

/// For how many cycles a reading of the clock holds: about a quarter of a millisecond. `counted`
/// cycles went by in the `elapsed` nanoseconds since the one before.
///
/// `None` if it is too soon to tell; 0 if the counter stands still or jumps, or if that was long
/// ago.
pub(crate) const fn validity(counted: u64, elapsed: u64) -> Option<u64> {
    /// A power of two, for the division to be the only one.
    const QUARTER: u32 = 18;

    if elapsed < 1 << 14 {
        None
    } else if elapsed >= 1 << 32 || counted >= 1 << 40 {
        Some(0)
    } else {
        (counted << QUARTER).checked_div(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        let before = Uptime::from_millis(u64::from(u32::MAX) - 9);
        let after = Uptime::from_millis(u64::from(u32::MAX) + 11);
        assert_eq!(after.as_millis(), 10);
        assert!(before.is_before(after));
        assert!(!after.is_before(before));
        assert_eq!(after.since(before), 20);
        assert_eq!(before.since(after), 0);
        assert_eq!(before.plus(20), after);
        assert_eq!(after.min(before), before);
        assert_eq!(before.min(after), before);
    }

    #[test]
    fn a_reading_is_not_before_itself() {
        let now = Uptime::from_millis(7);
        assert!(!now.is_before(now));
        assert_eq!(now.since(now), 0);
    }

    #[test]
    fn readings_hold_for_a_quarter_of_a_millisecond() {
        // 3 GHz, over 20 us and over 4 s.
        assert_eq!(validity(60_000, 20_000), Some(786_432));
        assert_eq!(validity(12_000_000_000, 4_000_000_000), Some(786_432));
        // No counter; none yet; stopped for most of the time; went back.
        assert_eq!(validity(0, 1_000_000), Some(0));
        assert_eq!(validity(5_000_000_000_000, 5_000_000_000_000), Some(0));
        assert_eq!(validity(3_000, 1_000_000), Some(786));
        assert_eq!(validity(0u64.wrapping_sub(3_000_000), 1_000_000), Some(0));
        // Too soon.
        assert_eq!(validity(30_000, 10_000), None);
    }
}
