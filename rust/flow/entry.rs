// SPDX-License-Identifier: GPL-2.0

//! A flow: its key, and what is recorded of it.
//!
//! ```text
//!            first packet                      FIN or RST
//!   (none) ---------------> live ------------------------------> finished
//!                            | ^                                  | ^  |
//!                            +-+ packet                   packet  +-+  |
//!                            |                               no SYN    |
//!                            |                                         |
//!           inactive, active, overflow,            quiet for 1 s, SYN, its slot is needed,
//!               displaced, flushed                      active, overflow, flushed
//!                            |                                         |
//!                            +------------> exported <-----------------+
//! ```
//!
//! A finished flow stays where it is for a moment, so that the last acknowledgements of its
//! connection still find it and do not make a flow of their own.

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use super::{
    families::AddressFamily,
    key::{
        Address,
        FlowLabel,
        Key, //
    },
    ledger::Totals,
    uptime::Uptime,
};

/// TCP flags that end a connection.
pub(crate) const TCP_FIN: u32 = 0x01;
/// See [`TCP_FIN`].
pub(crate) const TCP_RST: u32 = 0x04;
/// The flag that starts a connection.
pub(crate) const TCP_SYN: u32 = 0x02;

/// What is accounted of a packet, or of several at once, beside the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets on the wire: more than one when the kernel has aggregated them (GRO), or when they
    /// were joined.
    pub(crate) packets: u32,
    /// Layer-3 bytes of all of them.
    pub(crate) bytes: u32,
    /// TCP flags, 0 for other protocols. Only eight bits are used. A `u32`, to avoid padding that
    /// each copy would move.
    pub(crate) tcp_flags: u32,
}

impl Counts {
    /// Bytes of packets that are accounted as one: no more than one packet can have.
    const JOINED_MAX: u32 = 65_535;

    /// Merges another packet of the flow, unless the order matters (SYN, FIN, RST) or the sum
    /// exceeds 65,535 bytes. Returns whether it did.
    #[inline(always)]
    pub(crate) fn join(&mut self, other: Self) -> bool {
        const ENDS: u32 = TCP_SYN | TCP_FIN | TCP_RST;

        let bytes = self.bytes.saturating_add(other.bytes);
        if bytes > Self::JOINED_MAX || (self.tcp_flags | other.tcp_flags) & ENDS != 0 {
            return false;
        }
        *self = Self {
            packets: self.packets.wrapping_add(other.packets),
            bytes,
            tcp_flags: self.tcp_flags | other.tcp_flags,
        };
        true
    }
}

/// What the routing table says of the two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<A> {
    /// Gateway towards the destination, unspecified if there is none.
    pub(crate) next_hop: A,
    /// Index of the interface towards the destination, 0 when packets leave by none.
    pub(crate) output: u32,
    /// Prefix length of the route to the source.
    pub(crate) src_mask: u8,
    /// Prefix length of the route to the destination.
    pub(crate) dst_mask: u8,
}

impl<A: Address> Route<A> {
    /// No route at all.
    pub(crate) const NONE: Self = Self {
        next_hop: A::UNSPECIFIED,
        output: 0,
        src_mask: 0,
        dst_mask: 0,
    };
}

/// A flow and its counters, one cache line for IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow<A: Address> {
    /// What its packets have in common.
    pub(crate) key: Key<A>,
    /// Where they go, as of the first one.
    pub(crate) route: Route<A>,
    /// Packets on the wire.
    pub(crate) packets: u64,
    /// Layer-3 bytes.
    pub(crate) bytes: u64,
    /// When the first packet came.
    pub(crate) first: Uptime,
    /// When the last one did.
    pub(crate) last: Uptime,
    /// All TCP flags seen; above the lower eight bits, the flow label of the first packet. So a
    /// flow of IPv6 takes one and a half cache lines, and four of them no part of one.
    pub(crate) flags_label: u32,
}

impl<A: Address> Flow<A> {
    /// What memory that holds no flow is filled with.
    pub(crate) const VACANT: Self = Self {
        key: Key::VACANT,
        route: Route::NONE,
        packets: 0,
        bytes: 0,
        first: Uptime::from_millis(0),
        last: Uptime::from_millis(0),
        flags_label: 0,
    };

    /// A new flow of its first packets. Every field is set: nothing of a former use of the memory
    /// stays.
    #[inline]
    pub(crate) fn new(key: Key<A>, route: Route<A>, counts: Counts, now: Uptime) -> Self {
        Self {
            key,
            route,
            packets: u64::from(counts.packets),
            bytes: u64::from(counts.bytes),
            first: now,
            last: now,
            flags_label: counts.tcp_flags,
        }
    }

    /// The same flow with the label of its first packet, instead of none.
    #[inline]
    pub(crate) fn with_label(self, label: A::Label) -> Self {
        let label: FlowLabel = label.into();
        Self {
            flags_label: self.flags_label | (label.bits() << 8),
            ..self
        }
    }

    /// Accounts further packets, which came at `now`. Returns whether that was before the first
    /// that was known: packets that waited in the batch of another CPU are.
    #[inline]
    #[must_use = "the active timeout passes sooner"]
    pub(crate) fn add(&mut self, counts: Counts, now: Uptime) -> bool {
        self.packets = self.packets.wrapping_add(u64::from(counts.packets));
        self.bytes = self.bytes.wrapping_add(u64::from(counts.bytes));
        self.flags_label |= counts.tcp_flags;
        if self.last.is_before(now) {
            self.last = now;
            return false;
        }
        let is_earlier = now.is_before(self.first);
        if is_earlier {
            self.first = now;
        }
        is_earlier
    }

    /// Its packets and bytes.
    #[inline]
    pub(crate) const fn totals(&self) -> Totals {
        Totals {
            packets: self.packets,
            bytes: self.bytes,
        }
    }

    /// All TCP flags seen.
    #[inline(always)]
    pub(crate) const fn tcp_flags(&self) -> u8 {
        // CAST: The lower eight bits.
        self.flags_label as u8
    }

    /// The flow label of its first packet, 0 if it had none.
    pub(crate) const fn label(&self) -> FlowLabel {
        FlowLabel::from_bits(self.flags_label >> 8)
    }

    /// Whether a FIN or RST was seen, or is among further `flags`.
    #[inline(always)]
    pub(crate) const fn is_finished_with(&self, flags: u32) -> bool {
        (self.flags_label | flags) & (TCP_FIN | TCP_RST) != 0
    }

    /// Whether a FIN or RST was seen.
    #[inline]
    pub(crate) const fn is_finished(&self) -> bool {
        self.is_finished_with(0)
    }
}

/// A flow of any address family, for the places where the families come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnyFlow {
    /// IPv4.
    V4(Flow<Ipv4Addr>),
    /// IPv6.
    V6(Flow<Ipv6Addr>),
}

impl AnyFlow {
    /// Its packets and bytes.
    #[inline]
    pub(crate) const fn totals(&self) -> Totals {
        match self {
            Self::V4(flow) => flow.totals(),
            Self::V6(flow) => flow.totals(),
        }
    }

    /// Its address family.
    pub(crate) const fn family(&self) -> AddressFamily {
        match self {
            Self::V4(_) => AddressFamily::Ipv4,
            Self::V6(_) => AddressFamily::Ipv6,
        }
    }
}

impl From<Flow<Ipv4Addr>> for AnyFlow {
    fn from(flow: Flow<Ipv4Addr>) -> Self {
        Self::V4(flow)
    }
}

impl From<Flow<Ipv6Addr>> for AnyFlow {
    fn from(flow: Flow<Ipv6Addr>) -> Self {
        Self::V6(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key<Ipv4Addr> {
        Key::new(
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
            [0, 1, 0, 2],
            3,
            6,
            0,
        )
    }

    #[test]
    fn adds_up() {
        let at = Uptime::from_millis;
        let counts = |packets, bytes, tcp_flags| Counts {
            packets,
            bytes,
            tcp_flags,
        };
        let mut flow = Flow::new(key(), Route::NONE, counts(1, 40, TCP_SYN), at(1000));
        assert!(!flow.add(counts(45, 66_000, 0x10), at(1500)));
        assert!(!flow.add(counts(1, 40, 0x08), at(1499)));
        assert_eq!((flow.packets, flow.bytes), (47, 66_080));
        assert_eq!(flow.tcp_flags(), 0x1a);
        assert_eq!((flow.first, flow.last), (at(1000), at(1500)));
        assert!(flow.add(counts(1, 40, 0), at(998)));
        assert_eq!((flow.first, flow.last), (at(998), at(1500)));
        assert!(!flow.is_finished());
        assert!(!flow.add(counts(1, 40, TCP_FIN), at(1600)));
        assert!(flow.is_finished());
    }

    /// Packets, whether joined first or added one by one, make the same flow; what would not is not
    /// joined.
    #[test]
    fn joined_packets_count_as_each() {
        const ACK: u32 = 0x10;
        const PSH: u32 = 0x08;

        let counts = |packets, bytes, tcp_flags| Counts {
            packets,
            bytes,
            tcp_flags,
        };
        let joined = |mut one: Counts, other| one.join(other).then_some(one);
        assert_eq!(
            joined(counts(1, 40, ACK), counts(44, 64_000, ACK | PSH)),
            Some(counts(45, 64_040, ACK | PSH))
        );
        assert_eq!(
            joined(counts(1, 1500, 0), counts(1, 64_035, 0)),
            Some(counts(2, 65_535, 0))
        );
        for (one, other) in [
            (counts(1, 1500, 0), counts(1, 64_036, 0)),
            (counts(9, 500_000, ACK), counts(1, 40, ACK)),
            (counts(1, u32::MAX, 0), counts(1, u32::MAX, 0)),
            (counts(1, 40, TCP_FIN | ACK), counts(1, 60, ACK)),
            (counts(1, 40, ACK), counts(1, 60, TCP_SYN)),
            (counts(1, 40, ACK), counts(1, 60, TCP_RST)),
        ] {
            let mut kept = one;
            assert!(!kept.join(other));
            assert_eq!(kept, one);
        }
    }

    #[test]
    fn a_label_is_that_of_the_first_packet() {
        let counts = |tcp_flags| Counts {
            packets: 1,
            bytes: 60,
            tcp_flags,
        };
        let (src, dst) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
        let key = Key::new(src, dst, [0; 4], 1, 6, 0);
        let label = FlowLabel::from_bits(0xabc_def01);
        let new = Flow::new(key, Route::NONE, counts(TCP_SYN), Uptime::from_millis(1));
        let mut flow = new.with_label(label);
        assert_eq!((flow.tcp_flags(), flow.label().bits()), (0x02, 0xdef01));
        assert!(!flow.is_finished() && flow.is_finished_with(TCP_RST));
        let _ = flow.add(counts(0xff), Uptime::from_millis(2));
        assert_eq!((flow.tcp_flags(), flow.label()), (0xff, label));
    }

    /// And four flows of IPv6, as many as lie together, fit whole ones.
    #[test]
    fn an_ipv4_flow_fits_a_cache_line() {
        assert_eq!(size_of::<Flow<Ipv4Addr>>(), 64);
        assert_eq!(size_of::<[Flow<Ipv6Addr>; 4]>(), 6 * 64);
    }
}
