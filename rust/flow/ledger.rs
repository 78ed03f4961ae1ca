// SPDX-License-Identifier: GPL-2.0

//! The ledger: where every packet ended that was counted at a hook.
//!
//! ```text
//! seen = ignored + cached + pending + exported + lost        at any quiet moment
//! ```
//!
//! It holds for packets and for bytes. The packet path counts, for each packet, in which
//! [`Account`] it began; the export counts what it took out of the cache and what became of it.
//!
//! `seen` is the sum of what has entered the accounts, and `cached` what has entered less what was
//! taken out. So the equation shows that each flow which was taken out is in one account, and
//! nothing else: a packet that never entered an account is not in `seen`. That none is missing is
//! seen from outside: selftests compare with the counters of nftables and with the listed flows.

use core::ops::{
    Add,
    AddAssign,
    Sub,
    SubAssign, //
};

/// Packets on the wire, and their layer-3 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Packets.
    pub(crate) packets: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_add(other.packets),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(other.packets),
            bytes: self.bytes.wrapping_sub(other.bytes),
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Totals {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// How a packet enters the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// In a flow of the cache.
    Cached,
    /// Ignored: it ends before its IP header, or the length that this states, does.
    Truncated,
    /// Ignored: its IP header contradicts itself.
    Malformed,
    /// Ignored: a datagram of the exporter itself.
    Own,
    /// Lost: a new flow found no free slot.
    CacheFull,
    /// Ignored: not selected by sampling.
    NotSampled,
}

impl Account {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;
}

/// All accounts of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// All that has entered an account, each packet once.
    pub(crate) seen: Totals,
    /// Ignored: they end before their IP header, or the length that this states, does.
    pub(crate) truncated: Totals,
    /// Ignored: the IP header contradicts itself.
    pub(crate) malformed: Totals,
    /// Ignored: datagrams of the exporter itself.
    pub(crate) own: Totals,
    /// Ignored: not selected by sampling.
    pub(crate) not_sampled: Totals,
    /// In flows of the cache.
    pub(crate) cached: Totals,
    /// In flows that left the cache and were not sent yet.
    pub(crate) pending: Totals,
    /// In flows all of whose records were in datagrams that a Collector's socket accepted.
    pub(crate) exported: Totals,
    /// Lost: a new flow found no free slot.
    pub(crate) cache_full: Totals,
    /// Lost: there was no Collector.
    pub(crate) no_collector: Totals,
    /// Lost: no Collector's socket accepted a datagram with a record of the flow.
    pub(crate) send_failed: Totals,
    /// Lost: no Collector gets a format that has a record for the flow.
    pub(crate) unsupported: Totals,
}

/// The ledger of both together.
impl Add for Ledger {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            truncated: self.truncated + other.truncated,
            malformed: self.malformed + other.malformed,
            own: self.own + other.own,
            not_sampled: self.not_sampled + other.not_sampled,
            cached: self.cached + other.cached,
            pending: self.pending + other.pending,
            exported: self.exported + other.exported,
            cache_full: self.cache_full + other.cache_full,
            no_collector: self.no_collector + other.no_collector,
            send_failed: self.send_failed + other.send_failed,
            unsupported: self.unsupported + other.unsupported,
        }
    }
}

impl Ledger {
    /// Not accounted, for whatever reason.
    pub(crate) fn ignored(&self) -> Totals {
        self.truncated + self.malformed + self.own + self.not_sampled
    }

    /// The ledger of an exporter that will send nothing more: what waits for that is lost.
    pub(crate) fn closed(self) -> Self {
        Self {
            cached: Totals::default(),
            pending: Totals::default(),
            send_failed: self.send_failed + self.cached + self.pending,
            ..self
        }
    }

    /// Never exported, for whatever reason.
    pub(crate) fn lost(&self) -> Totals {
        self.cache_full + self.no_collector + self.send_failed + self.unsupported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let t = |packets, bytes| Totals { packets, bytes };
        let ledger = Ledger {
            truncated: t(1, 10),
            malformed: t(2, 20),
            own: t(32, 320),
            not_sampled: t(128, 1280),
            cache_full: t(4, 40),
            no_collector: t(8, 80),
            send_failed: t(16, 160),
            unsupported: t(64, 640),
            ..Ledger::default()
        };
        assert_eq!(ledger.ignored(), t(163, 1630));
        assert_eq!(ledger.lost(), t(92, 920));
        let mut sum = ledger.lost();
        sum -= t(8, 80);
        sum += t(1, 0);
        assert_eq!(sum, t(85, 840));
    }

    #[test]
    fn what_is_not_sent_at_the_end_is_lost() {
        let t = |packets, bytes| Totals { packets, bytes };
        let closed = Ledger {
            seen: t(127, 1270),
            own: t(1, 10),
            cached: t(2, 20),
            pending: t(4, 40),
            exported: t(8, 80),
            cache_full: t(16, 160),
            no_collector: t(32, 320),
            send_failed: t(64, 640),
            ..Ledger::default()
        }
        .closed();
        assert_eq!(closed.lost(), t(118, 1180));
        assert_eq!(
            closed.seen,
            closed.ignored() + closed.exported + closed.lost()
        );
        assert_eq!((closed.cached, closed.pending), (t(0, 0), t(0, 0)));
    }

    #[test]
    fn counters_wrap_rather_than_panic() {
        let one = Totals {
            packets: 1,
            bytes: 1,
        };
        let max = Totals {
            packets: u64::MAX,
            bytes: u64::MAX,
        };
        assert_eq!(max + one, Totals::default());
        assert_eq!(Totals::default() - one, max);
    }
}
