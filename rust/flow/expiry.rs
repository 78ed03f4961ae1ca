// SPDX-License-Identifier: GPL-2.0

//! When a flow leaves the cache.
//!
//! The rules are those of FreeBSD's ng_netflow: statistically most flows have very few packets, and
//! it is rare that such a flow wakes up again, while larger ones often do. So as long as the
//! pressure is low, a flow that pauses is kept if it is not small, and fewer records are exported.

use super::{
    entry::Flow, //
    key::Address,
    uptime::Uptime,
};

/// Flows of at most so many packets are small.
pub(crate) const SMALL: u64 = 4;

/// Milliseconds that a finished flow stays, for the last acknowledgements of its connection.
pub(crate) const LINGER: u32 = 1000;

/// Why a flow left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No packet for the inactive timeout.
    Inactive,
    /// The active timeout passed since its first packet.
    Active,
    /// A FIN or RST was seen.
    Finished,
    /// It had so many bytes that a record could soon not hold them.
    Overflow,
    /// It made way for another flow.
    Displaced,
    /// Everything was asked for.
    Flushed,
}

impl Reason {
    /// How many reasons there are.
    pub(crate) const COUNT: usize = 6;
}

/// How hard it is to stay in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// Up to the watermark: inactive flows stay unless they are small.
    Low,
    /// Above the watermark: inactive flows go, until so many have left.
    High(u32),
    /// All flows go.
    Flush,
}

impl Pressure {
    /// What is left of it when `excess` flows are too many.
    pub(crate) const fn of_excess(excess: u32) -> Self {
        match excess {
            0 => Self::Low,
            _ => Self::High(excess),
        }
    }

    /// What is left of it when one flow has gone.
    pub(crate) const fn relieved(self) -> Self {
        match self {
            Self::High(excess) => Self::of_excess(excess.saturating_sub(1)),
            Self::Low | Self::Flush => self,
        }
    }
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It leaves the cache.
    Expired(Reason),
    /// It stays at least until then, unless the pressure rises.
    Keep(Uptime),
}

/// The timeouts, in milliseconds below 2^31, and what else ends a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Since the first packet.
    pub(crate) active: u32,
    /// Since the last packet.
    pub(crate) inactive: u32,
    /// Whether inactive flows go even if the pressure is low and they are not small.
    pub(crate) strict: bool,
    /// Since the last packet of a flow that has finished.
    pub(crate) linger: u32,
    /// Bytes at which a flow goes, as a record cannot hold many more.
    pub(crate) max_bytes: u64,
}

impl Policy {
    /// Judges a flow.
    pub(crate) fn judge<A: Address>(
        &self,
        flow: &Flow<A>,
        now: Uptime,
        pressure: Pressure,
    ) -> Verdict {
        let idle = now.since(flow.last);
        let goes = flow.packets <= SMALL || self.strict || matches!(pressure, Pressure::High(_));

        if flow.is_finished() && (idle >= self.linger || pressure == Pressure::Flush) {
            Verdict::Expired(Reason::Finished)
        } else if now.since(flow.first) > self.active {
            Verdict::Expired(Reason::Active)
        } else if flow.bytes >= self.max_bytes {
            Verdict::Expired(Reason::Overflow)
        } else if idle > self.inactive && goes {
            Verdict::Expired(Reason::Inactive)
        } else if pressure == Pressure::Flush {
            Verdict::Expired(Reason::Flushed)
        } else {
            Verdict::Keep(self.deadline(flow))
        }
    }

    /// The earliest time at which the flow may expire, if it has no more packets and the pressure
    /// stays low.
    pub(crate) fn deadline<A: Address>(&self, flow: &Flow<A>) -> Uptime {
        let active = flow.first.plus(self.active.saturating_add(1));
        if flow.bytes >= self.max_bytes {
            flow.first
        } else if flow.is_finished() {
            active.min(flow.last.plus(self.linger))
        } else if flow.packets <= SMALL || self.strict {
            active.min(flow.last.plus(self.inactive.saturating_add(1)))
        } else {
            active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            entry::{
                Counts,
                Route,
                TCP_FIN,
                TCP_RST, //
            },
            key::Key,
        },
        *,
    };
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    const POLICY: Policy = Policy {
        active: 1_800_000,
        inactive: 15_000,
        strict: false,
        linger: LINGER,
        max_bytes: 1_000_000,
    };

    fn flow(packets: u32, bytes: u32, tcp_flags: u32) -> Flow<Ipv4Addr> {
        let address = Ipv4Addr::LOCALHOST;
        let key = Key::new(address, address, [0; 4], 0, 0, 0);
        let counts = Counts {
            packets,
            bytes,
            tcp_flags,
        };
        Flow::new(key, Route::NONE, counts, Uptime::from_millis(0))
    }

    fn judge(flow: &Flow<Ipv4Addr>, now: u64, pressure: Pressure) -> Option<Reason> {
        match POLICY.judge(flow, Uptime::from_millis(now), pressure) {
            Verdict::Expired(reason) => Some(reason),
            Verdict::Keep(_) => None,
        }
    }

    #[test]
    fn small_flows_expire_when_inactive() {
        assert_eq!(judge(&flow(4, 0, 0), 15_000, Pressure::Low), None);
        let expired = judge(&flow(4, 0, 0), 15_001, Pressure::Low);
        assert_eq!(expired, Some(Reason::Inactive));
    }

    #[test]
    fn larger_flows_stay_while_there_is_room() {
        assert_eq!(judge(&flow(5, 0, 0), 1_800_000, Pressure::Low), None);
        let expired = judge(&flow(5, 0, 0), 15_001, Pressure::High(1));
        assert_eq!(expired, Some(Reason::Inactive));
        let expired = judge(&flow(5, 0, 0), 1_800_001, Pressure::Low);
        assert_eq!(expired, Some(Reason::Active));
    }

    #[test]
    fn strictly_all_flows_expire_when_inactive() {
        let policy = Policy {
            strict: true,
            ..POLICY
        };
        let judge = |now| policy.judge(&flow(5, 0, 0), Uptime::from_millis(now), Pressure::Low);
        assert_eq!(judge(15_001), Verdict::Expired(Reason::Inactive));
        assert_eq!(judge(15_000), Verdict::Keep(Uptime::from_millis(15_001)));
    }

    #[test]
    fn finished_flows_linger() {
        for flag in [TCP_FIN, TCP_RST] {
            assert_eq!(judge(&flow(1, 0, flag), 999, Pressure::Low), None);
            let expired = judge(&flow(1, 0, flag), 1000, Pressure::Low);
            assert_eq!(expired, Some(Reason::Finished));
            assert_eq!(judge(&flow(1, 0, flag), 999, Pressure::High(1)), None);
            let expired = judge(&flow(1, 0, flag), 0, Pressure::Flush);
            assert_eq!(expired, Some(Reason::Finished));
        }
    }

    #[test]
    fn flows_of_too_many_bytes_expire() {
        let bytes = 1_000_000;
        assert_eq!(judge(&flow(1, bytes - 1, 0), 0, Pressure::Low), None);
        let expired = judge(&flow(1, bytes, 0), 0, Pressure::Low);
        assert_eq!(expired, Some(Reason::Overflow));
    }

    #[test]
    fn pressure_eases_with_each_flow_that_goes() {
        let eased = Pressure::of_excess(2).relieved();
        assert_eq!(eased, Pressure::High(1));
        assert_eq!(eased.relieved(), Pressure::Low);
        assert_eq!(Pressure::Low.relieved(), Pressure::Low);
        assert_eq!(Pressure::Flush.relieved(), Pressure::Flush);
    }

    #[test]
    fn a_flush_takes_all() {
        let expired = judge(&flow(100, 0, 0), 1, Pressure::Flush);
        assert_eq!(expired, Some(Reason::Flushed));
    }

    proptest! {
        /// Nothing expires before the deadline, and everything that is kept has one ahead.
        #[test]
        fn deadlines_are_exact(
            packets in 1u32..10,
            flags in 0u32..256,
            start in any::<u32>(),
            pause in 0u32..2_000_000,
            wait in 0u32..2_000_000,
            strict in any::<bool>(),
        ) {
            let policy = Policy { strict, ..POLICY };
            let start = Uptime::from_millis(start.into());
            let mut flow = flow(packets, 100, flags);
            (flow.first, flow.last) = (start, start.plus(pause.min(POLICY.active)));
            let now = flow.last.plus(wait);
            let deadline = policy.deadline(&flow);
            match policy.judge(&flow, now, Pressure::Low) {
                Verdict::Expired(_) => prop_assert!(!now.is_before(deadline)),
                Verdict::Keep(until) => {
                    prop_assert_eq!(until, deadline);
                    prop_assert!(now.is_before(deadline));
                }
            }
        }
    }
}
